#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <optional>
#include <sstream>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "program/text.hpp"

namespace program {

/// The common options.
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

/// The value that a text means, or an empty one and what was expected instead: "expected a number, got 'x'".
template <class Value>
using ReadEntry = std::function<std::optional<Value>(const std::string& text, std::string& problem)>;

/// The parts of a list between commas, each as it stands. An option's words are one list: "1,2 3" is "1,2,3".
std::vector<std::string> entries_of(const std::vector<std::string>& words);

/// Refuses the value of an option: what came, and what was wrong with it.
[[noreturn]] void refuse_option(const std::string& name, const std::string& problem);

/// Adds an option that takes a list of different values, separated by commas. All lists are read here: an entry that is
/// empty, that `read` refuses, or that means what another one means is an error which names it.
template <class Value>
CLI::Option* add_list(CLI::App& app, const std::string& name, std::vector<Value>& values, const std::string& text,
                      const ReadEntry<Value>& read) {
  const auto parse = [&values, name, read](const std::vector<std::string>& words) {
    const std::vector<std::string> entries = entries_of(words);
    std::vector<Value> result;
    for (const std::string& entry : entries) {
      std::string problem;
      const std::optional<Value> value = entry.empty() ? std::nullopt : read(entry, problem);
      if (entry.empty()) {
        problem = "expected values separated by single commas, got an empty one";
      } else if (value && std::ranges::count(result, *value) > 0) {
        problem = "expected different values, got '" + entry + "' a second time";
      }
      if (!problem.empty())
        refuse_option(name, problem + (entries.size() > 1 ? " in '" + joined(entries, ",") + "'" : ""));
      result.push_back(*value);
    }
    values = std::move(result);
  };
  return app.add_option_function<std::vector<std::string>>(name, parse, text);
}

/// The number that a text means, which must be one; empty where it is too large.
template <class Value>
std::optional<Value> number_of(const std::string& text) {
  if constexpr (std::is_floating_point_v<Value>) {
    return static_cast<Value>(std::strtod(text.c_str(), nullptr));
  } else {
    Value value{};
    const bool fits = std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc();
    return fits ? std::optional(value) : std::nullopt;
  }
}

/// Adds an option that takes a list of numbers, and says its default.
template <class Value>
void add_numbers(CLI::App& app, const std::string& name, std::vector<Value>& values, const std::string& text,
                 const CLI::Validator& validator) {
  std::ostringstream standard;
  for (const Value& value : values) standard << (&value == values.data() ? "" : ",") << value;
  const auto read = [validator](const std::string& entry, std::string& problem) -> std::optional<Value> {
    problem = validator(entry);
    if (!problem.empty()) return std::nullopt;
    const std::optional<Value> value = number_of<Value>(entry);
    if (!value) problem = "expected a number that is not so large, got '" + entry + "'";
    return value;
  };
  add_list<Value>(app, name, values, text, read)->type_name("N,...")->default_str(standard.str());
}

/// Adds an option that takes a list of some of a few words; without it, `words` stays as it is. `known` is asked when the
/// option is read, so that it may depend on options that are added before this one.
void add_words(CLI::App& app, const std::string& name, std::vector<std::string>& words, const std::string& text,
               const std::function<std::vector<std::string>()>& known);

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
