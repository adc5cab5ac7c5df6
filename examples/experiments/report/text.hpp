#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace report {

/// The width of a terminal for which all output is made.
inline constexpr std::size_t terminal_width = 80;

/// A value that there is not: "-" in tables, an empty cell in CSV files.
inline constexpr double none = std::numeric_limits<double>::quiet_NaN();

/// The accuracy of a network that has diverged, below any other: "diverged" in tables, an empty cell in CSV files.
inline constexpr double diverged = -std::numeric_limits<double>::infinity();

/// 0.97312 with 4 decimals: "0.9731".
std::string fixed(double value, int decimals);

/// 0.0123 with 2 digits: "0.012"; 0.0000123: "1.2e-05".
std::string significant(double value, int digits);

/// With as few digits as tell it: 0.01 is "0.01", 30.0 is "30".
std::string shortest(double value);

/// The parts one after the other: "a, b, c".
std::string joined(const std::vector<std::string>& parts, const std::string& between);

/// 50000: "50,000".
std::string grouped(std::int64_t number);

/// 75 seconds: "1:15"; 3700: "1:01:40".
std::string duration(double seconds);

}  // namespace report
