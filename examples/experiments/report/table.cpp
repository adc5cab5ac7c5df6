#include "experiments/report/table.hpp"

#include <algorithm>
#include <ostream>
#include <utility>

#include "experiments/report/text.hpp"

namespace report {
namespace {

constexpr std::size_t gap = 3;

/// The columns that a terminal counts: those of UTF-8's continuation bytes take no place of their own.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace

Table::Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }

void Table::add(std::vector<std::string> row) {
  row.resize(rows_.front().size());
  rows_.push_back(std::move(row));
}

std::ostream& operator<<(std::ostream& out, const Table& table) {
  const std::size_t columns = table.rows_.front().size();
  std::vector<std::size_t> widths(columns, 0);
  for (const auto& row : table.rows_) {
    for (std::size_t i = 0; i < columns; ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }

  std::size_t begin = 1;
  do {
    std::size_t end = begin, width = widths[0];
    while (end < columns && (end == begin || width + gap + widths[end] <= terminal_width)) width += gap + widths[end++];
    if (begin > 1) out << '\n';
    for (const auto& row : table.rows_) {
      std::string line = row[0] + std::string(widths[0] - width_of(row[0]), ' ');
      for (std::size_t i = begin; i < end; ++i) line += std::string(gap + widths[i] - width_of(row[i]), ' ') + row[i];
      line.erase(line.find_last_not_of(' ') + 1);
      out << line << '\n';
    }
    begin = end;
  } while (begin < columns);
  return out;
}

}  // namespace report
