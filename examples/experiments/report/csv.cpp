#include "experiments/report/csv.hpp"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <stdexcept>

#include "experiments/report/text.hpp"

namespace report {

/// Up to here doubles have all whole numbers.
constexpr double largest_exact = 0x1p53;

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
    if (std::trunc(value) == value && std::abs(value) < largest_exact) {
      file_ << static_cast<std::int64_t>(value);  // in full: rows are found by their seed
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
