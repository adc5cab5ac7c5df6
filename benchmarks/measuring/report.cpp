#include "measuring/report.hpp"

#include <algorithm>
#include <cstring>
#include <ostream>
#include <stdexcept>

#include "measuring/columns.hpp"
#include "measuring/statistics.hpp"
#include "measuring/table.hpp"

namespace benchmarks {
namespace {

constexpr Index large = Index(16) << 20;

/// The titles of all rows: a library may have no implementation for one shape.
std::vector<std::string> titles_of(const std::vector<Row>& rows) {
  std::vector<std::string> titles;
  for (const Row& row : rows) {
    for (const auto& ratio : row.times_faster) {
      if (std::find(titles.begin(), titles.end(), ratio.title) == titles.end()) titles.push_back(ratio.title);
    }
  }
  return titles;
}

double ratio_of(const Row& row, const std::string& title) {
  for (const auto& ratio : row.times_faster) {
    if (ratio.title == title) return ratio.value;
  }
  return not_measured;
}

std::vector<std::string> cells(const Row& row, const std::vector<std::string>& titles) {
  std::vector<std::string> result{row.shape.name, three_digits(row.microseconds), three_digits(row.fraction_of_limit)};
  for (const std::string& title : titles) result.push_back(three_digits(ratio_of(row, title)));
  return result;
}

Row mean_of(const std::vector<Row>& rows, const std::string& name, const std::vector<std::string>& titles) {
  const auto mean = [&](const auto& value_of) {
    std::vector<double> values;
    for (const Row& row : rows) values.push_back(value_of(row));
    return geometric_mean(values);
  };
  Row result{{name, 0, 0, 0}, not_measured, mean([](const Row& row) { return row.fraction_of_limit; }), {}};
  for (const std::string& title : titles) {
    result.times_faster.push_back({title, mean([&](const Row& row) { return ratio_of(row, title); })});
  }
  return result;
}

}  // namespace

Row summarize(const Shape& shape, const std::vector<Candidate>& candidates, const std::vector<Times>& times) {
  const Times& ours = times.front();
  const Times limit = limit_of(candidates, times);
  Row row{shape, median(ours) * 1e6, limit.empty() ? not_measured : median_ratio(limit, ours), {}};
  for (const Column& peer : peers_of(candidates, times)) {
    row.times_faster.push_back({peer.title, median_ratio(peer.times, ours)});
  }
  return row;
}

void print(std::ostream& out, const std::vector<Row>& rows) {
  const std::vector<std::string> titles = titles_of(rows);
  std::vector<std::string> header{"shape", "us", "of limit"};
  header.insert(header.end(), titles.begin(), titles.end());
  Table table(header);
  for (const Row& row : rows) table.add(cells(row, titles));

  std::vector<Row> large_rows;
  const auto is_large = [](const Row& row) { return row.shape.bytes() >= large; };
  std::copy_if(rows.begin(), rows.end(), std::back_inserter(large_rows), is_large);
  if (rows.size() > 1) table.add(cells(mean_of(rows, "geometric mean", titles), titles));
  if (!large_rows.empty() && large_rows.size() < rows.size()) {
    table.add(cells(mean_of(large_rows, "of those >= 16 MiB", titles), titles));
  }
  out << table;
}

CsvFile::CsvFile(const std::string& path) : path_(path) {
  if (path_.empty()) return;
  file_.open(path_);
  file_ << "pass,layout,activation,shape,samples,channels,plane,threads,library,form,rounds,median_us,ratio_to_ours\n";
  check();
}

void CsvFile::add(const Task& task, const std::vector<Candidate>& candidates, const std::vector<Times>& times) {
  if (path_.empty()) return;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    add_line(task, candidates[i].library, candidates[i].form, times[i], times.front());
  }
  const Times limit = limit_of(candidates, times);
  if (!limit.empty()) add_line(task, "limit", "all", limit, times.front());
  file_.flush();
  check();
}

void CsvFile::add_line(const Task& task, const std::string& library, const std::string& form, const Times& theirs,
                       const Times& ours) {
  const Shape& s = task.shape;
  const auto rounds = std::count_if(theirs.begin(), theirs.end(), [](double time) { return !std::isnan(time); });
  file_ << name_of(task.pass) << ',' << name_of(task.layout) << ',' << name_of(task.activation) << ',' << s.name << ','
        << s.samples << ',' << s.channels << ',' << s.plane << ',' << task.threads << ',' << library << ',' << form
        << ',' << rounds << ',' << median(theirs) * 1e6 << ',' << median_ratio(theirs, ours) << '\n';
}

void CsvFile::check() const {
  if (!file_) throw std::runtime_error("cannot write " + path_ + ": " + std::strerror(errno));
}

}  // namespace benchmarks
