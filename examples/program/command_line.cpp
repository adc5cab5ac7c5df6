#include "program/command_line.hpp"

#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <limits>
#include <stdexcept>

namespace program {
namespace {

int fail(const CLI::App& app, std::string message, int code) {
  for (char& c : message) {
    if (c == '\n') c = ' ';
  }
  std::cout << std::flush;
  std::cerr << app.get_name() << ": " << message << std::endl;
  return code;
}

CLI::Validator number_that(bool (*is_good)(double), const std::string& expected) {
  const auto check = [is_good, expected](const std::string& text) -> std::string {
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    const bool blank_before = !text.empty() && std::isspace(static_cast<unsigned char>(text.front()));
    if (!text.empty() && !blank_before && *end == '\0' && std::isfinite(value) && is_good(value)) return {};
    return expected + text + "'";
  };
  return CLI::Validator(check, "");
}

}  // namespace

void add_common_options(CLI::App& app, CommonOptions& options) {
  app.add_option("--data", options.data, "a folder with MNIST's four files, plain or .gz")->type_name("DIR");
  app.add_option("--output", options.output, "where results go")->type_name("DIR")->capture_default_str();
  add_numbers(app, "--seeds,--seed", options.seeds, "one run for each: weights and order of the data", at_least(0));
}

CLI::Validator at_least(std::int64_t minimum) {
  const auto check = [minimum](const std::string& text) -> std::string {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size() && value >= minimum) return {};
    const std::string limit = error == std::errc::result_out_of_range && text.front() != '-'
                                  ? "most " + std::to_string(std::numeric_limits<std::int64_t>::max())
                                  : "least " + std::to_string(minimum);
    return "expected a whole number of at " + limit + ", got '" + text + "'";
  };
  return CLI::Validator(check, "");
}

CLI::Validator positive() {
  return number_that([](double value) { return value > 0; }, "expected a number greater than 0, got '");
}

CLI::Validator not_negative() {
  return number_that([](double value) { return value >= 0; }, "expected 0 or a number greater than 0, got '");
}

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

void refuse_option(const std::string& name, const std::string& problem) {
  throw CLI::ValidationError(name.substr(0, name.find(',')), problem);
}

void add_words(CLI::App& app, const std::string& name, std::vector<std::string>& words, const std::string& text,
               const std::function<std::vector<std::string>()>& known) {
  const auto read = [known](const std::string& entry, std::string& problem) -> std::optional<std::string> {
    const std::vector<std::string> all = known();
    if (std::ranges::count(all, entry) > 0) return entry;
    problem = "expected one of " + joined(all, ", ") + ", got '" + entry + "'";
    return std::nullopt;
  };
  add_list<std::string>(app, name, words, text, read)->type_name("WORD,...")->default_str("all");
}

int run(CLI::App& app, int argc, const char* const* argv, const std::function<int()>& body) {
  try {
    app.parse(argc, argv);
    return body();
  } catch (const CLI::Success& success) {  // --help
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    return fail(app, std::string(error.what()) + " (--help lists the options)", usage_exit_code);
  } catch (const std::runtime_error& error) {
    return fail(app, error.what(), usage_exit_code);
  } catch (const std::exception& error) {
    return fail(app, std::string("internal error: ") + error.what(), internal_error_exit_code);
  }
}

}  // namespace program
