#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace program {

/// What every experiment can be told.
struct CommonOptions {
  std::string data;  ///< a folder with MNIST; empty: look elsewhere
  std::filesystem::path output = "results";
  std::vector<std::uint64_t> seeds = {0};
};

/// Adds --data, --output and --seeds (or --seed).
void add_common_options(CLI::App& app, CommonOptions& options);

/// Refuses what is not a whole number of at least `minimum`.
CLI::Validator at_least(std::int64_t minimum);

/// Refuses what is not a finite number greater than 0: nan and inf too.
CLI::Validator positive();

/// The same, but takes 0.
CLI::Validator not_negative();

/// Adds an option that takes a number, and says its default.
template <class Value>
void add_number(CLI::App& app, const std::string& name, Value& value, const std::string& text,
                const CLI::Validator& validator) {
  app.add_option(name, value, text)->check(validator)->capture_default_str();
}

/// Adds an option that takes several numbers, separated by commas, and says its default.
template <class Value>
void add_numbers(CLI::App& app, const std::string& name, std::vector<Value>& values, const std::string& text,
                 const CLI::Validator& validator) {
  std::ostringstream standard;
  for (const Value& value : values) standard << (&value == values.data() ? "" : ",") << value;
  app.add_option(name, values, text)->delimiter(',')->check(validator)->type_name("N,...")->default_str(standard.str());
}

/// Adds an option that takes one of a few words. `then` is called when it was given: to change the defaults of options
/// that are added after this one, which are read after it wherever they stand.
template <class Value>
void add_choice(CLI::App& app, const std::string& name, Value& value, const std::string& text,
                const std::vector<std::pair<std::string, Value>>& choices, const std::function<void()>& then = {}) {
  std::string words, standard;
  for (const auto& [word, meaning] : choices) {
    words += (words.empty() ? "" : "|") + word;
    if (meaning == value) standard = word;
  }
  const auto parse = [&value, choices, words, name, then](const std::string& text_given) {
    for (const auto& [word, meaning] : choices) {
      if (word != text_given) continue;
      value = meaning;
      if (then) then();
      return;
    }
    throw CLI::ValidationError(name, "expected " + words + ", got '" + text_given + "'");
  };
  app.add_option_function<std::string>(name, parse, text)->type_name(words)->default_str(standard);
}

/// Exit codes beside 0 for success.
inline constexpr int usage_exit_code = 2, internal_error_exit_code = 1;

/// The front of a program: parses the command line, runs `body`, and returns the exit code. Whatever is wrong is said
/// in one line on standard error. 2: the user can mend it (a flag, a file, a folder). 1: an error of the program
/// itself.
int run(CLI::App& app, int argc, const char* const* argv, const std::function<int()>& body);

}  // namespace program
