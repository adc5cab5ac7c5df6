#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace process {

/// What the value of an option must be.
struct Check {
  /// What is wrong with a text, "expected a number greater than 0, got 'x'"; empty if nothing is.
  std::function<std::string(const std::string& text)> problem_of;
  std::string description = {};  ///< for --help, if it says more than the text of the option
};

/// Refuses what is not a whole number of at least `minimum`.
Check at_least(std::int64_t minimum);

// Numbers are taken as far as a float can hold them, since networks compute in float.

/// Refuses what is not a finite number greater than 0: nan and inf too.
Check positive();

/// The same, but takes 0.
Check not_negative();

/// Refuses what is not a number from `least` to `most`.
Check between(double least, double most);

/// The number that a text means, which must be one.
double number_of(const std::string& text);

/// Exit codes beside 0 for success.
inline constexpr int usage_exit_code = 2, internal_error_exit_code = 1;

/// The options of a program. Each is added with its name, the variable that it sets, and a text for --help, which says
/// the variable's present value as the default.
class CommandLine {
 public:
  CommandLine(const std::string& description, const std::string& program);
  ~CommandLine();

  /// Adds an option that takes a text, called `kind` in --help.
  void add_text(const std::string& name, std::string& value, const std::string& text, const std::string& kind);
  void add_text(const std::string& name, std::filesystem::path& value, const std::string& text,
                const std::string& kind);

  /// Adds an option that takes a number.
  void add_number(const std::string& name, double& value, const std::string& text, const Check& check);
  void add_number(const std::string& name, int& value, const std::string& text, const Check& check);
  void add_number(const std::string& name, std::int64_t& value, const std::string& text, const Check& check);

  // Lists of different values, separated by commas. An entry that is empty, that is refused, or that means what another
  // one means is an error which names it. A list may be several words: "1,2 3" is "1,2,3".

  /// Adds an option that takes a list of numbers.
  void add_numbers(const std::string& name, std::vector<double>& values, const std::string& text, const Check& check);
  void add_numbers(const std::string& name, std::vector<std::int64_t>& values, const std::string& text,
                   const Check& check);
  void add_numbers(const std::string& name, std::vector<std::uint64_t>& values, const std::string& text,
                   const Check& check);

  /// The value that an entry means, or none and what was expected instead.
  using ReadEntry = std::function<std::optional<std::string>(const std::string& entry, std::string& problem)>;

  /// Adds an option that takes a list of texts, called `kind` in --help.
  void add_list(const std::string& name, std::vector<std::string>& values, const std::string& text,
                const std::string& kind, const ReadEntry& read);

  /// Adds an option that takes a list of some of a few words; without it, `words` stays as it is. `known` is asked when
  /// the option is read, so that it may depend on options that are added before this one.
  void add_words(const std::string& name, std::vector<std::string>& words, const std::string& text,
                 const std::function<std::vector<std::string>()>& known);

  /// Adds an option that takes one of a few words. `then` is called when it was given: to change the defaults of
  /// options that are added after this one, which are read after it wherever they stand.
  template <class Value>
  void add_choice(const std::string& name, Value& value, const std::string& text,
                  const std::vector<std::pair<std::string, Value>>& choices, const std::function<void()>& then = {}) {
    std::vector<std::string> words;
    std::string standard;
    for (const auto& [word, meaning] : choices) {
      words.push_back(word);
      if (meaning == value) standard = word;
    }
    add_choice_of(name, text, words, standard, [&value, choices, then](std::size_t chosen) {
      value = choices[chosen].second;
      if (then) then();
    });
  }

  /// The front of a program: parses the command line, runs `body`, and returns the exit code. Whatever is wrong is said
  /// in one line on standard error. 2: the user can mend it (a flag, a file, a folder, standard output that takes no
  /// more). 1: an error of the program itself.
  int run(int argc, const char* const* argv, const std::function<int()>& body);

 private:
  void add_choice_of(const std::string& name, const std::string& text, const std::vector<std::string>& words,
                     const std::string& standard, const std::function<void(std::size_t chosen)>& choose);

  /// CLI11's, of which nobody else needs to read the 10,000 lines.
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

/// The common options.
struct CommonOptions {
  std::string data;  ///< a folder with MNIST; empty: look elsewhere
  std::filesystem::path output = "results";
  std::vector<std::uint64_t> seeds = {0};
};

/// Adds --data, --output and --seeds (or --seed).
void add_common_options(CommandLine& command_line, CommonOptions& options);

}  // namespace process
