#include "experiments/report/csv.hpp"

#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>

#include "experiments/report/text.hpp"

namespace report {
namespace {

/// Of more digits than other numbers have, such as a seed: all of them, so that a row can be found by it.
bool is_long_integer(double value) {
  return std::abs(value) >= 1e7 && std::abs(value) < 0x1p63 && value == std::trunc(value);
}

}  // namespace

Csv::Csv(const std::filesystem::path& path, const std::vector<std::string>& columns) : path_(path), file_(path) {
  file_.precision(7);
  add(columns, {});
}

void Csv::add(const std::vector<double>& row) { add({}, row); }

void Csv::add(const std::vector<std::string>& labels, const std::vector<double>& row) {
  const char* separator = "";
  for (const std::string& label : labels) {
    file_ << separator << label;
    separator = ",";
  }
  for (const double value : row) {
    file_ << separator;
    if (is_long_integer(value)) {
      file_ << std::to_string(static_cast<std::int64_t>(value));
    } else if (!std::isnan(value) && value != diverged) {
      file_ << value;
    }
    separator = ",";
  }
  file_ << '\n';
  check();
}

void Csv::close() {
  file_.close();
  check();
}

void Csv::check() const {
  if (!file_) throw std::runtime_error("cannot write " + path_.string() + ": " + std::strerror(errno));
}

}  // namespace report
