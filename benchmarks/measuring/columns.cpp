#include "measuring/columns.hpp"

#include "measuring/statistics.hpp"

namespace benchmarks {
namespace {

/// The one with the lowest median; none has the index of the end. One choice for all rounds: a minimum taken in each
/// round would be of luck.
template <class Takes>
std::size_t quickest(const std::vector<Times>& times, const Takes& takes_part) {
  std::size_t best = times.size();
  for (std::size_t i = 0; i < times.size(); ++i) {
    if (takes_part(i) && (best == times.size() || median(times[i]) < median(times[best]))) best = i;
  }
  return best;
}

}  // namespace

Times limit_of(const std::vector<Candidate>& candidates, const std::vector<Times>& times, int readings) {
  const auto quickest_of = [&](Work work) {
    return quickest(times, [&](std::size_t i) { return candidates[i].work == work; });
  };
  const std::size_t move = quickest_of(Work::move), read = quickest_of(Work::read);
  if (move == times.size()) return {};
  Times limit = times[move];
  if (read == times.size() || readings == 1) return limit;
  for (std::size_t round = 0; round < limit.size(); ++round) limit[round] += (readings - 1) * times[read][round];
  return limit;
}

std::vector<Column> peers_of(const std::vector<Candidate>& candidates, const std::vector<Times>& times) {
  std::vector<Column> columns;
  std::size_t end = 0;
  for (std::size_t first = 1; first < candidates.size(); first = end) {
    const std::string& library = candidates[first].library;
    const auto is_its = [&](std::size_t i) { return candidates[i].library == library; };
    end = first;
    while (end < candidates.size() && is_its(end)) ++end;
    if (candidates[first].work != Work::pass) continue;
    // Two columns also for a shape that only one of a library's forms can do: a table has the same ones in each row.
    const bool names_forms = !candidates[first].form.empty();
    columns.push_back({names_forms ? library + " plain" : library, times[first]});
    if (names_forms) columns.push_back({library + " best", times[quickest(times, is_its)]});
  }
  return columns;
}

}  // namespace benchmarks
