#include "experiments/process/command_line.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <new>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace command_line_test {

enum class Color { gray, binary };

/// A program with one option of each kind.
struct Program {
  process::CommonOptions common;
  std::int64_t steps = 50;
  double rate = 1, decay = 0, share = 0.5;
  int batches = 10;
  std::vector<double> rates = {0.5, 10};
  std::vector<std::string> words = {"all"};
  Color color = Color::gray;
  std::function<int()> body = [] { return 0; };
  std::string out, err;

  int run(std::vector<std::string> arguments) {
    process::CommandLine command_line("A test.", "test");
    process::add_common_options(command_line, common);
    command_line.add_number("--steps", steps, "steps", process::at_least(1));
    command_line.add_number("--lr", rate, "rate", process::positive());
    command_line.add_number("--decay", decay, "decay", process::not_negative());
    command_line.add_number("--share", share, "share", process::between(0, 0.99));
    command_line.add_number("--batches", batches, "batches", process::at_least(0));
    command_line.add_numbers("--rates", rates, "rates", process::positive());
    command_line.add_words("--words", words, "words", [] { return std::vector<std::string>{"x1", "x5", "x30"}; });
    command_line.add_choice("--input", color, "pixels", {{"gray", Color::gray}, {"binary", Color::binary}});
    std::vector<const char*> argv = {"test"};
    for (const std::string& argument : arguments) argv.push_back(argument.c_str());
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int code = command_line.run(static_cast<int>(argv.size()), argv.data(), body);
    out = testing::internal::GetCapturedStdout();
    err = testing::internal::GetCapturedStderr();
    return code;
  }
};

TEST(CommandLine, Values) {
  Program test;
  EXPECT_EQ(test.run({"--steps", "7", "--lr", "1e-3", "--seeds", "0,1,2", "--input", "binary", "--output", "x"}), 0);
  EXPECT_EQ(test.steps, 7);
  EXPECT_EQ(test.rate, 1e-3);
  EXPECT_EQ(test.common.seeds, (std::vector<std::uint64_t>{0, 1, 2}));
  EXPECT_EQ(test.color, Color::binary);
  EXPECT_EQ(test.common.output, "x");
  EXPECT_EQ(test.err, "");
}

TEST(CommandLine, SeveralNumbersAndZero) {
  Program test;
  EXPECT_EQ(test.run({"--rates", "1,2.5,1e-2", "--decay", "0"}), 0);
  EXPECT_EQ(test.rates, (std::vector<double>{1, 2.5, 0.01}));
  EXPECT_EQ(test.decay, 0);
  Program help;
  EXPECT_EQ(help.run({"--help"}), 0);
  EXPECT_NE(help.out.find("0.5,10"), std::string::npos) << "the default";
}

TEST(CommandLine, AListMayBeSeveralWords) {
  Program test;
  EXPECT_EQ(test.run({"--seeds", "1,2", "3", "--seeds", "0", "--words", "x30,x1"}), 0);
  EXPECT_EQ(test.common.seeds, (std::vector<std::uint64_t>{1, 2, 3, 0}));
  EXPECT_EQ(test.words, (std::vector<std::string>{"x30", "x1"}));
}

TEST(CommandLine, AListIsRefusedForAnEmptyARepeatedOrAnUnreadableEntryWhichIsNamed) {
  struct Case {
    std::string option, list, problem;
  };
  const std::string empty = "expected values separated by single commas, got an empty one",
                    seed = "expected a whole number of at least 0, got ", word = "expected one of x1, x5, x30, got ";
  const std::vector<Case> cases = {
      {"--seeds", "1,1", "expected different values, got '1' a second time in '1,1'"},
      {"--seeds", "0,7,07", "expected different values, got '07' a second time in '0,7,07'"},
      {"--seeds", "1,2,,3", empty + " in '1,2,,3'"},
      {"--seeds", "1,", empty + " in '1,'"},
      {"--seeds", ",1", empty + " in ',1'"},
      {"--seeds", ",", empty + " in ','"},
      {"--seeds", "", empty},
      {"--seeds", "1, 2", seed + "' 2' in '1, 2'"},
      {"--seeds", "1 ,2", seed + "'1 ' in '1 ,2'"},
      {"--seeds", "1,-2", seed + "'-2' in '1,-2'"},
      {"--seeds", "-2", seed + "'-2'"},
      {"--seeds", "1;2", seed + "'1;2'"},
      {"--seeds", "1,9223372036854775808",
       "expected a whole number of at most 9223372036854775807, got '9223372036854775808' in '1,9223372036854775808'"},
      {"--rates", "0.1,,1", empty + " in '0.1,,1'"},
      {"--rates", "0.1,1,1e-1", "expected different values, got '1e-1' a second time in '0.1,1,1e-1'"},
      {"--rates", "1, 2", "expected a number greater than 0, got ' 2' in '1, 2'"},
      {"--rates", "1,1e999", "expected a number that a float can hold, up to 3.4e+38, got '1e999' in '1,1e999'"},
      {"--words", "x5,x5", "expected different values, got 'x5' a second time in 'x5,x5'"},
      {"--words", "x5,", empty + " in 'x5,'"},
      {"--words", "x5,x6", word + "'x6' in 'x5,x6'"},
      {"--words", "x5, x1", word + "' x1' in 'x5, x1'"},
  };
  for (const Case& one : cases) {
    Program test;
    test.body = []() -> int { throw std::logic_error("it ran"); };
    EXPECT_EQ(test.run({one.option, one.list}), process::usage_exit_code) << one.option << " '" << one.list << "'";
    EXPECT_EQ(test.err, "test: " + one.option + ": " + one.problem + " (--help lists the options)\n");
  }
}

TEST(CommandLine, ANumberIsRefusedWithWhatWasExpected) {
  const std::string share = "expected a number from 0 to 0.99, got ",
                    large = "expected a number that a float can hold, up to 3.4e+38, got ",
                    small = "expected a number that a float can hold, from 1.2e-38, got ";
  const std::vector<std::vector<std::string>> cases = {
      {"--share", "nan", share + "'nan'"},
      {"--share", "1", share + "'1'"},
      {"--share", "-0.1", share + "'-0.1'"},
      {"--share", "x", share + "'x'"},
      {"--lr", "1e39", large + "'1e39'"},
      {"--lr", "1e400", large + "'1e400'"},
      {"--lr", "inf", "expected a number greater than 0, got 'inf'"},
      {"--lr", "1e-50", small + "'1e-50'"},
      {"--decay", "1e-50", small + "'1e-50'"},
      {"--batches", "3000000000", "expected a whole number of at most 2147483647, got '3000000000'"},
  };
  for (const auto& one : cases) {
    Program test;
    EXPECT_EQ(test.run({one[0], one[1]}), process::usage_exit_code) << one[0] << ' ' << one[1];
    EXPECT_EQ(test.err, "test: " + one[0] + ": " + one[2] + " (--help lists the options)\n");
  }
  Program test;
  EXPECT_EQ(test.run({"--share", "0.99", "--lr", "3e38", "--batches", "2147483647"}), 0) << test.err;
}

TEST(CommandLine, Defaults) {
  Program test;
  EXPECT_EQ(test.run({}), 0);
  EXPECT_EQ(test.common.seeds, std::vector<std::uint64_t>{0});
  EXPECT_EQ(test.common.output, "results");
}

TEST(CommandLine, NonsenseIsOneLineAndExitCodeTwo) {
  const std::vector<std::vector<std::string>> nonsense = {{"--steps", "0"},
                                                          {"--steps", "-5"},
                                                          {"--steps", "1.5"},
                                                          {"--steps", "many"},
                                                          {"--steps"},
                                                          {"--lr", "nan"},
                                                          {"--lr", "inf"},
                                                          {"--lr", "0"},
                                                          {"--lr", "-1"},
                                                          {"--lr", "fast"},
                                                          {"--seed", "-1"},
                                                          {"--seeds", "1,x"},
                                                          {"--rates", "1,0"},
                                                          {"--decay", "-1"},
                                                          {"--decay", ""},
                                                          {"--input", "green"},
                                                          {"--no-such", "flag"},
                                                          {"word"},
                                                          {"--steps", "99999999999999999999"}};
  for (const auto& arguments : nonsense) {
    Program test;
    test.body = []() -> int { throw std::logic_error("it ran"); };
    EXPECT_EQ(test.run(arguments), process::usage_exit_code) << arguments.front();
    EXPECT_EQ(test.err.substr(0, 6), "test: ") << test.err;
    EXPECT_EQ(std::ranges::count(test.err, '\n'), 1) << test.err;
    EXPECT_NE(test.err.find(arguments.front()), std::string::npos) << test.err;
    EXPECT_EQ(test.out, "");
  }
}

TEST(CommandLine, HelpFitsTheTerminal) {
  Program test;
  EXPECT_EQ(test.run({"--help"}), 0);
  EXPECT_NE(test.out.find("--seeds"), std::string::npos);
  std::istringstream lines(test.out);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80u) << line;
}

TEST(CommandLine, ErrorsOfTheBody) {
  Program test;
  test.body = []() -> int { throw std::runtime_error("a file\nis broken"); };
  EXPECT_EQ(test.run({}), process::usage_exit_code);
  EXPECT_EQ(test.err, "test: a file is broken\n");
  test.body = []() -> int { throw std::logic_error("oops"); };
  EXPECT_EQ(test.run({}), process::internal_error_exit_code);
  EXPECT_EQ(test.err, "test: internal error: oops\n");
  test.body = []() -> int { throw std::bad_alloc(); };
  EXPECT_EQ(test.run({}), process::usage_exit_code);
  EXPECT_EQ(test.err, "test: there is not enough memory for sizes like these\n");
  test.body = [] { return 130; };
  EXPECT_EQ(test.run({}), 130);
}

TEST(CommandLine, OutputThatCannotBeWrittenIsAnError) {
  Program test;
  test.body = [] {
    std::cout.setstate(std::ios_base::badbit);  // as of a full disk
    return 0;
  };
  const int code = test.run({});
  std::cout.clear();
  EXPECT_EQ(code, process::usage_exit_code);
  EXPECT_EQ(test.err, "test: cannot write to standard output\n");
}

TEST(CommandLine, HelpNamesAllWaysToTheData) {
  Program test;
  EXPECT_EQ(test.run({"--help"}), 0);
  for (const char* word : {"drawn", "BATCHNORM_MNIST"}) EXPECT_NE(test.out.find(word), std::string::npos) << test.out;
  EXPECT_EQ(test.out.find("=all"), std::string::npos) << "no word of the list: " << test.out;
}

TEST(CommandLine, AChoiceChangesTheDefaultsOfLaterOptionsOnly) {
  enum class Size { small, large };
  const auto parse = [](std::vector<const char*> words) {
    process::CommandLine command_line("A test.", "test");
    Size size = Size::small;
    double number = 1;
    command_line.add_choice("--size", size, "", {{"small", Size::small}, {"large", Size::large}},
                            [&] { number = size == Size::large ? 100 : 10; });
    command_line.add_number("--number", number, "", process::positive());
    words.insert(words.begin(), "test");
    EXPECT_EQ(command_line.run(static_cast<int>(words.size()), words.data(), [] { return 0; }), 0);
    return number;
  };
  EXPECT_EQ(parse({}), 1);
  EXPECT_EQ(parse({"--size", "large"}), 100);
  EXPECT_EQ(parse({"--number", "7", "--size", "large"}), 7);
}

}  // namespace command_line_test
