#include "experiments/process/command_line.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <limits>
#include <new>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <type_traits>

#include "experiments/report/text.hpp"

namespace process {
namespace {

int fail(const CLI::App& app, std::string message, int code) {
  for (char& c : message) {
    if (c == '\n') c = ' ';
  }
  std::cout << std::flush;
  std::cerr << app.get_name() << ": " << message << std::endl;
  return code;
}

/// What a text means, written with digits; NaN if it means no number.
double number_in_digits(const std::string& text) {
  const bool is_word = text.empty() || text.find_first_not_of("+-.0123456789eE") != std::string::npos;
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  return is_word || *end != '\0' ? report::none : value;
}

/// Networks compute in float, where 1e39 is infinite, and 1e-50 is 0 like all that is denormal.
std::string problem_of_a_float(double value, const std::string& text) {
  using Limits = std::numeric_limits<float>;
  if (value == 0 || (value >= Limits::min() && value <= Limits::max())) return {};
  return "expected a number that a float can hold, " +
         (value > 1 ? "up to " + report::significant(Limits::max(), 2)
                    : "from " + report::significant(Limits::min(), 2)) +
         ", got '" + text + "'";
}

/// `is_good` takes no number below 0.
Check number_that(const std::function<bool(double)>& is_good, const std::string& expected) {
  return {[is_good, expected](const std::string& text) -> std::string {
    const double value = number_in_digits(text);
    if (is_good(value)) return problem_of_a_float(value, text);
    return "expected " + expected + ", got '" + text + "'";
  }};
}

/// The number that a text means, which must be one; empty where it is too large.
template <class Value>
std::optional<Value> number_that_fits(const std::string& text) {
  if constexpr (std::is_floating_point_v<Value>) {
    return number_of(text);
  } else {
    Value value{};
    const bool fits = std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc();
    return fits ? std::optional(value) : std::nullopt;
  }
}

/// What is wrong with a text where a Value is wanted; empty if nothing is.
template <class Value>
std::string problem_of(const std::string& text, const Check& check) {
  const std::string problem = check.problem_of(text);
  if (!problem.empty() || number_that_fits<Value>(text)) return problem;
  return "expected a whole number of at most " + std::to_string(std::numeric_limits<Value>::max()) + ", got '" + text +
         "'";
}

template <class Value>
void add_number_to(CLI::App& app, const std::string& name, Value& value, const std::string& text, const Check& check) {
  app.add_option(name, value, text)
      ->check(CLI::Validator([check](const std::string& entry) { return problem_of<Value>(entry, check); },
                             check.description))
      ->capture_default_str();
}

/// The parts of a list between commas, each as it stands. An option's words are one list: "1,2 3" is "1,2,3".
std::vector<std::string> entries_of(const std::vector<std::string>& words) {
  std::vector<std::string> entries;
  for (const std::string& word : words) {
    std::size_t begin = 0;
    for (std::size_t comma = word.find(','); comma != std::string::npos; comma = word.find(',', begin)) {
      entries.push_back(word.substr(begin, comma - begin));
      begin = comma + 1;
    }
    entries.push_back(word.substr(begin));
  }
  return entries;
}

/// All lists are read here.
template <class Value, class Read>
CLI::Option* add_list_to(CLI::App& app, const std::string& name, std::vector<Value>& values, const std::string& text,
                         const Read& read) {
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
        throw CLI::ValidationError(name.substr(0, name.find(',')),
                                   problem + (entries.size() > 1 ? " in '" + report::joined(entries, ",") + "'" : ""));
      result.push_back(*value);
    }
    values = std::move(result);
  };
  return app.add_option_function<std::vector<std::string>>(name, parse, text);
}

template <class Value>
void add_numbers_to(CLI::App& app, const std::string& name, std::vector<Value>& values, const std::string& text,
                    const Check& check) {
  std::ostringstream standard;
  for (const Value& value : values) standard << (&value == values.data() ? "" : ",") << value;
  const auto read = [check](const std::string& entry, std::string& problem) -> std::optional<Value> {
    problem = problem_of<Value>(entry, check);
    return problem.empty() ? number_that_fits<Value>(entry) : std::nullopt;
  };
  add_list_to(app, name, values, text, read)->type_name("N,...")->default_str(standard.str());
}

const std::string unwritten = "cannot write to standard output";

/// Whether all went out. A stream that is to say nothing has its failbit set, and not this one.
bool is_written(std::ostream& out) { return !(out << std::flush).bad(); }

}  // namespace

// --- Checks

Check at_least(std::int64_t minimum) {
  return {[minimum](const std::string& text) -> std::string {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size() && value >= minimum) return {};
    const std::string limit = error == std::errc::result_out_of_range && text.front() != '-'
                                  ? "most " + std::to_string(std::numeric_limits<std::int64_t>::max())
                                  : "least " + std::to_string(minimum);
    return "expected a whole number of at " + limit + ", got '" + text + "'";
  }};
}

Check positive() {
  return number_that([](double value) { return value > 0; }, "a number greater than 0");
}

Check not_negative() {
  return number_that([](double value) { return value >= 0; }, "0 or a number greater than 0");
}

Check between(double least, double most) {
  const std::string range = "from " + report::shortest(least) + " to " + report::shortest(most);
  Check check = number_that([=](double value) { return value >= least && value <= most; }, "a number " + range);
  check.description = range;
  return check;
}

double number_of(const std::string& text) { return std::strtod(text.c_str(), nullptr); }

// --- Options

struct CommandLine::Parser {
  CLI::App app;
};

CommandLine::CommandLine(const std::string& description, const std::string& program)
    : parser_(new Parser{CLI::App(description, program)}) {}

CommandLine::~CommandLine() = default;

void CommandLine::add_text(const std::string& name, std::string& value, const std::string& text,
                           const std::string& kind) {
  parser_->app.add_option(name, value, text)->type_name(kind)->capture_default_str();
}

void CommandLine::add_text(const std::string& name, std::filesystem::path& value, const std::string& text,
                           const std::string& kind) {
  parser_->app.add_option(name, value, text)->type_name(kind)->capture_default_str();
}

void CommandLine::add_number(const std::string& name, double& value, const std::string& text, const Check& check) {
  add_number_to(parser_->app, name, value, text, check);
}

void CommandLine::add_number(const std::string& name, int& value, const std::string& text, const Check& check) {
  add_number_to(parser_->app, name, value, text, check);
}

void CommandLine::add_number(const std::string& name, std::int64_t& value, const std::string& text,
                             const Check& check) {
  add_number_to(parser_->app, name, value, text, check);
}

void CommandLine::add_numbers(const std::string& name, std::vector<double>& values, const std::string& text,
                              const Check& check) {
  add_numbers_to(parser_->app, name, values, text, check);
}

void CommandLine::add_numbers(const std::string& name, std::vector<std::int64_t>& values, const std::string& text,
                              const Check& check) {
  add_numbers_to(parser_->app, name, values, text, check);
}

void CommandLine::add_numbers(const std::string& name, std::vector<std::uint64_t>& values, const std::string& text,
                              const Check& check) {
  add_numbers_to(parser_->app, name, values, text, check);
}

void CommandLine::add_list(const std::string& name, std::vector<std::string>& values, const std::string& text,
                           const std::string& kind, const ReadEntry& read) {
  add_list_to(parser_->app, name, values, text, read)->type_name(kind)->default_str(report::joined(values, ","));
}

void CommandLine::add_words(const std::string& name, std::vector<std::string>& words, const std::string& text,
                            const std::function<std::vector<std::string>()>& known) {
  const auto read = [known](const std::string& entry, std::string& problem) -> std::optional<std::string> {
    const std::vector<std::string> all = known();
    if (std::ranges::count(all, entry) > 0) return entry;
    problem = "expected one of " + report::joined(all, ", ") + ", got '" + entry + "'";
    return std::nullopt;
  };
  add_list_to(parser_->app, name, words, text + "; all without it", read)->type_name("WORD,...");
}

void CommandLine::add_choice_of(const std::string& name, const std::string& text, const std::vector<std::string>& words,
                                const std::string& standard, const std::function<void(std::size_t)>& choose) {
  const std::string expected = report::joined(words, "|");
  const auto parse = [words, expected, name, choose](const std::string& given) {
    const auto found = std::ranges::find(words, given);
    if (found == words.end()) throw CLI::ValidationError(name, "expected " + expected + ", got '" + given + "'");
    choose(static_cast<std::size_t>(found - words.begin()));
  };
  parser_->app.add_option_function<std::string>(name, parse, text)->type_name(expected)->default_str(standard);
}

int CommandLine::run(int argc, const char* const* argv, const std::function<int()>& body) {
  CLI::App& app = parser_->app;
  try {
    app.parse(argc, argv);
    const int code = body();
    return is_written(std::cout) || code != 0 ? code : fail(app, unwritten, usage_exit_code);
  } catch (const CLI::Success& success) {  // --help
    const int code = app.exit(success);
    return is_written(std::cout) ? code : fail(app, unwritten, usage_exit_code);
  } catch (const CLI::ParseError& error) {
    return fail(app, std::string(error.what()) + " (--help lists the options)", usage_exit_code);
  } catch (const std::runtime_error& error) {
    return fail(app, error.what(), usage_exit_code);
  } catch (const std::bad_alloc&) {
    return fail(app, "there is not enough memory for sizes like these", usage_exit_code);
  } catch (const std::exception& error) {
    return fail(app, std::string("internal error: ") + error.what(), internal_error_exit_code);
  }
}

void add_common_options(CommandLine& command_line, CommonOptions& options) {
  command_line.add_text("--data", options.data,
                        "a folder with MNIST's four files, plain or .gz;\n"
                        "drawn: digits that the program draws; without it:\n"
                        "BATCHNORM_MNIST's folder, the downloaded one, or\n"
                        "drawn digits",
                        "DIR");
  command_line.add_text("--output", options.output, "where results go", "DIR");
  command_line.add_numbers("--seeds,--seed", options.seeds, "one run for each: weights and order of the data",
                           at_least(0));
}

}  // namespace process
