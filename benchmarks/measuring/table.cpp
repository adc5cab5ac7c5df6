#include "measuring/table.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ostream>
#include <utility>

namespace benchmarks {
namespace {

std::string print(const char* format, int decimals, double value) {
  if (std::isnan(value)) return "-";
  char text[64];
  std::snprintf(text, sizeof text, format, decimals, value);
  return text;
}

}  // namespace

Table::Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }

void Table::add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }

std::ostream& operator<<(std::ostream& out, const Table& table) {
  const std::size_t columns = table.rows_.front().size();
  std::vector<std::size_t> widths(columns, 0);
  for (const auto& row : table.rows_) {
    for (std::size_t i = 0; i < columns; ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : table.rows_) {
    out << "| " << row[0] << std::string(widths[0] - row[0].size(), ' ') << " |";
    for (std::size_t i = 1; i < columns; ++i)
      out << ' ' << std::string(widths[i] - row[i].size(), ' ') << row[i] << " |";
    out << '\n';
    if (&row != &table.rows_.front()) continue;
    out << "|" << std::string(widths[0] + 2, '-') << "|";
    for (std::size_t i = 1; i < columns; ++i) out << std::string(widths[i] + 1, '-') << ":|";
    out << '\n';
  }
  return out;
}

std::string three_digits(double value) {
  const int before_point = std::isnan(value) || value <= 0 ? 1 : static_cast<int>(std::floor(std::log10(value))) + 1;
  return print("%.*f", std::clamp(3 - before_point, 0, 4), value);
}

std::string scientific(double value) { return print("%.*e", 1, value); }

}  // namespace benchmarks
