#pragma once

#include <cstdint>
#include <string>

namespace program {

/// The width of a terminal for which all output is made.
inline constexpr std::size_t terminal_width = 80;

/// 0.97312 with 4 decimals: "0.9731". NaN, which stands for a value that there is not, is "-".
std::string fixed(double value, int decimals);

/// With as few digits as tell it: 0.01 is "0.01", 30.0 is "30".
std::string shortest(double value);

/// 50000: "50,000".
std::string grouped(std::int64_t number);

/// 75 seconds: "1:15"; 3700: "1:01:40".
std::string duration(double seconds);

}  // namespace program
