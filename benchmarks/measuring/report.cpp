#include "measuring/report.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ostream>
#include <stdexcept>

#include "measuring/columns.hpp"
#include "measuring/statistics.hpp"
#include "measuring/table.hpp"

namespace benchmarks {
namespace {

/// The titles of all rows: a library may have no implementation for one shape.
std::vector<std::string> titles_of(const std::vector<Row>& rows) {
  std::vector<std::string> titles;
  for (const Row& row : rows) {
    for (const auto& ratio : row.ratios) {
      if (std::find(titles.begin(), titles.end(), ratio.title) == titles.end()) titles.push_back(ratio.title);
    }
  }
  return titles;
}

double ratio_of(const Row& row, const std::string& title) {
  for (const auto& ratio : row.ratios) {
    if (ratio.title == title) return ratio.value;
  }
  return not_measured;
}

std::vector<std::string> cells(const Row& row, const std::vector<std::string>& titles) {
  std::vector<std::string> result{row.name, row.home, three_digits(row.microseconds)};
  for (const std::string& title : titles) result.push_back(three_digits(ratio_of(row, title)));
  return result;
}

Row mean_of(const std::vector<Row>& rows, const std::string& home, const std::vector<std::string>& titles) {
  Row result{"geometric mean", home, not_measured, {}};
  for (const std::string& title : titles) {
    std::vector<double> values;
    for (const Row& row : rows) values.push_back(ratio_of(row, title));
    result.ratios.push_back({title, geometric_mean(values)});
  }
  return result;
}

Times limit_of(const Measured& m, int readings) { return limit_of(m.candidates, m.times, readings); }

Row unfilled(const Task& task, const Measured& measured) {
  return {task.shape.name, name_of(home_of(task.bytes())), median(measured.times.front()) * 1e6, {}};
}

}  // namespace

Row beside_others(const Task& task, const Measured& measured) {
  Row row = unfilled(task, measured);
  const auto add = [&](const std::string& title, const Times& theirs) {
    if (!theirs.empty()) row.ratios.push_back({title, median_ratio(theirs, measured.times.front())});
  };
  add("of limit", limit_of(measured, measured.readings));
  if (task.pass != Pass::inference) add("of read + copy", limit_of(measured, 2));
  for (const Column& peer : peers_of(measured.candidates, measured.times)) add(peer.title, peer.times);
  return row;
}

Row by_threads(const Task& task, const std::vector<Measured>& measured) {
  Row row = unfilled(task, measured.front());
  const auto add = [&](const std::string& whose, const auto& times_of) {
    const Times first = times_of(measured.front());
    for (std::size_t k = 1; k < measured.size() && !first.empty(); ++k) {
      row.ratios.push_back(
          {whose + std::to_string(measured[k].threads) + " threads", median_ratio(first, times_of(measured[k]))});
    }
  };
  add("", [](const Measured& m) { return m.times.front(); });
  add("limit, ", [](const Measured& m) { return limit_of(m, m.readings); });
  return row;
}

void print(std::ostream& out, const std::vector<Row>& rows) {
  const std::vector<std::string> titles = titles_of(rows);
  std::vector<std::string> header{"shape", "in", "us"};
  header.insert(header.end(), titles.begin(), titles.end());
  Table table(header);
  for (const Row& row : rows) table.add(cells(row, titles));

  if (rows.size() > 1) table.add(cells(mean_of(rows, "all", titles), titles));
  for (const Home home : {Home::l2, Home::cache, Home::memory}) {
    std::vector<Row> at_home;
    const auto is_at_home = [&](const Row& row) { return row.home == name_of(home); };
    std::copy_if(rows.begin(), rows.end(), std::back_inserter(at_home), is_at_home);
    if (at_home.size() > 1 && at_home.size() < rows.size()) {
      table.add(cells(mean_of(at_home, name_of(home), titles), titles));
    }
  }
  out << table;
}

CsvFile::CsvFile(const std::string& path) : path_(path) {
  if (path_.empty()) return;
  file_.open(path_);
  file_ << "pass,layout,activation,shape,samples,channels,plane,in,threads,library,form,rounds,median_us,ratio_to_ours"
        << std::endl;  // flushed: a full disk shows before anything is measured
  check();
}

void CsvFile::add(const Task& task, const Measured& measured) {
  if (path_.empty()) return;
  const Shape& s = task.shape;
  const auto add_line = [&](const std::string& library, const std::string& form, const Times& theirs) {
    const auto rounds = std::count_if(theirs.begin(), theirs.end(), [](double time) { return !std::isnan(time); });
    file_ << name_of(task.pass) << ',' << name_of(task.layout) << ',' << name_of(task.activation) << ',' << s.name
          << ',' << s.samples << ',' << s.channels << ',' << s.plane << ',' << name_of(home_of(task.bytes())) << ','
          << measured.threads << ',' << library << ',' << form << ',' << rounds << ',' << median(theirs) * 1e6 << ','
          << median_ratio(theirs, measured.times.front()) << '\n';
  };
  for (std::size_t i = 0; i < measured.candidates.size(); ++i) {
    add_line(measured.candidates[i].library, measured.candidates[i].form, measured.times[i]);
  }
  const Times limit = limit_of(measured, measured.readings);
  if (!limit.empty()) add_line("limit", "all", limit);
  if (!limit.empty() && task.pass != Pass::inference) add_line("limit", "read + copy", limit_of(measured, 2));
  file_.flush();
  check();
}

void CsvFile::check() const {
  if (!file_) throw std::runtime_error("cannot write " + path_ + ": " + std::strerror(errno));
}

}  // namespace benchmarks
