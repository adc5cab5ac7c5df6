#include "measuring/columns.hpp"

#include <algorithm>

#include "measuring/statistics.hpp"

namespace benchmarks {
namespace {

/// The quickest part of one kind in each round; empty if there is none.
Times quickest(const std::vector<Candidate>& candidates, const std::vector<Times>& times, Work work) {
  Times best;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (candidates[i].work != work) continue;
    if (best.empty()) best.assign(times[i].size(), not_measured);
    std::transform(best.begin(), best.end(), times[i].begin(), best.begin(), [](double a, double b) {
      return std::fmin(a, b);  // of a number and NaN: the number
    });
  }
  return best;
}

}  // namespace

Times limit_of(const std::vector<Candidate>& candidates, const std::vector<Times>& times, int readings) {
  Times limit = quickest(candidates, times, Work::move);
  const Times read = quickest(candidates, times, Work::read);
  for (std::size_t round = 0; round < read.size(); ++round) limit[round] += (readings - 1) * read[round];
  return limit;
}

std::vector<Column> peers_of(const std::vector<Candidate>& candidates, const std::vector<Times>& times) {
  std::vector<Column> columns;
  std::size_t next = 0;
  for (std::size_t first = 1; first < candidates.size(); first = next) {
    const std::string& library = candidates[first].library;
    std::size_t best = first;
    for (next = first; next < candidates.size() && candidates[next].library == library; ++next) {
      if (median(times[next]) < median(times[best])) best = next;
    }
    if (candidates[first].work != Work::pass) continue;
    const bool several = !candidates[first].form.empty();
    columns.push_back({several ? library + " plain" : library, times[first], candidates[first].form});
    if (several) columns.push_back({library + " best", times[best], candidates[best].form});
  }
  return columns;
}

}  // namespace benchmarks
