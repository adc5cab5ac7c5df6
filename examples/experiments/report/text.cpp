#include "experiments/report/text.hpp"

#include <charconv>
#include <cmath>
#include <cstdio>

namespace report {

namespace {

std::string formatted(double value, std::chars_format format, int precision) {
  if (std::isnan(value)) return "-";
  if (value == diverged) return "diverged";
  char text[400];  // the largest double has 309 digits in front of its point
  const auto [end, error] = std::to_chars(text, text + sizeof text, value, format, precision);
  return {text, end};
}

}  // namespace

std::string fixed(double value, int decimals) { return formatted(value, std::chars_format::fixed, decimals); }

std::string significant(double value, int digits) { return formatted(value, std::chars_format::general, digits); }

std::string shortest(double value) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof text, value);
  return {text, end};
}

std::string joined(const std::vector<std::string>& parts, const std::string& between) {
  std::string text;
  for (const std::string& part : parts) text += (&part == parts.data() ? "" : between) + part;
  return text;
}

std::string grouped(std::int64_t number) {
  std::string text = std::to_string(number);
  const std::size_t first_digit = number < 0 ? 1 : 0;
  for (std::size_t end = text.size(); end > first_digit + 3; end -= 3) text.insert(end - 3, 1, ',');
  return text;
}

std::string duration(double seconds) {
  constexpr double longest = 1e9;  // beyond that nobody waits
  const auto whole = static_cast<std::int64_t>(std::lround(seconds < longest ? seconds : longest));
  const auto hours = static_cast<int>(whole / 3600), minutes = static_cast<int>(whole / 60 % 60);
  const auto rest = static_cast<int>(whole % 60);
  char text[32];
  if (hours > 0) {
    std::snprintf(text, sizeof text, "%d:%02d:%02d", hours, minutes, rest);
  } else {
    std::snprintf(text, sizeof text, "%d:%02d", minutes, rest);
  }
  return text;
}

}  // namespace report
