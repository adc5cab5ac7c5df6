// Errors in float against long double on the same float inputs, on data on which batch normalization goes wrong when it
// is done carelessly; beside all other implementations that were found.
//
//   y       largest |y - reference| / max(1, |reference|)
//   dx      largest |dx - reference| / largest |reference|
//   dgamma  likewise; absolute where the reference is 0
//
// gamma is 1 and beta 0. Each library's backward pass uses the statistics that its own forward pass has saved.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <functional>
#include <iostream>
#include <random>

#include "candidates/candidate.hpp"
#include "candidates/problem.hpp"
#include "measuring/machine.hpp"
#include "measuring/table.hpp"
#include "measuring/verify.hpp"

namespace {

using namespace benchmarks;
using Real = long double;
using PerChannel = std::vector<Real>;

/// Data by name: a value for the i-th of `count` values of a channel.
struct Data {
  const char* name;
  std::function<double(Index i, Index count, double normal)> value;
};

const std::vector<Data> hard_data = {
    {"mean 0.5, std 1", [](Index, Index, double normal) { return 0.5 + normal; }},
    {"mean 1000, std 1", [](Index, Index, double normal) { return 1000 + normal; }},
    {"mean 1e4, std 1e-2", [](Index, Index, double normal) { return 1e4 + 1e-2 * normal; }},
    {"first 5 % 0, rest 1000 +- 0.1",
     [](Index i, Index count, double normal) { return i < count / 20 ? 0 : 1000 + 0.1 * normal; }},
    {"first 1e6, rest 1 +- 1", [](Index i, Index, double normal) { return i == 0 ? 1e6 : 1 + normal; }},
    {"constant 3.3", [](Index, Index, double) { return 3.3; }},
};

struct Place {
  Layout layout;
  Shape shape;
};

const std::vector<Place> places = {
    {Layout::planes, {"NCHW 32x16x56x56", 32, 16, 56 * 56}},
    {Layout::planes, {"NCHW 32x16x7x7", 32, 16, 7 * 7}},
    {Layout::rows, {"NHWC 32x16x56x56", 32, 16, 56 * 56}},
    {Layout::matrices, {"60x100", 60, 100, 1}},
    {Layout::matrices, {"8192x64", 8192, 64, 1}},
};

/// The position of a channel's next value, channel by channel, in memory order.
template <class Visit>
void for_each_value(const Task& task, const Visit& visit) {
  std::vector<Index> seen(std::size_t(task.shape.channels), 0);
  for (Index k = 0; k < task.shape.size(); ++k) {
    const auto c = std::size_t(task.channel_of(k));
    visit(k, c, seen[c]++);
  }
}

void fill(Problem& p, const Data& data) {
  std::mt19937 random(1);
  std::normal_distribution<double> normal;
  for_each_value(p.task, [&](Index k, std::size_t, Index i) {
    p.x[k] = static_cast<float>(data.value(i, p.task.shape.count(), normal(random)));
  });
  for (float& value : p.dy) value = static_cast<float>(normal(random));
  std::fill(p.gamma.begin(), p.gamma.end(), 1.0F);
  std::fill(p.beta.begin(), p.beta.end(), 0.0F);
}

/// What both passes should give, from the formulas.
class Reference {
 public:
  explicit Reference(const Problem& p)
      : count_(Real(p.task.shape.count())), mean_(p.gamma.size()), inv_std_(mean_.size()) {
    sum(p, mean_, [&](Index k, std::size_t) { return Real(p.x[k]); });
    for (Real& mean : mean_) mean /= count_;
    sum(p, inv_std_, [&](Index k, std::size_t c) { return (p.x[k] - mean_[c]) * (p.x[k] - mean_[c]); });
    for (Real& value : inv_std_) value = 1 / std::sqrt(value / count_ + Real(epsilon));
  }

  std::vector<Real> y(const Problem& p) const {
    std::vector<Real> y;
    for (Index k = 0; k < p.x.size(); ++k) y.push_back(x_hat(p, k));
    return y;
  }

  PerChannel dgamma(const Problem& p) const {
    PerChannel dgamma(mean_.size());
    sum(p, dgamma, [&](Index k, std::size_t) { return p.dy[k] * x_hat(p, k); });
    return dgamma;
  }

  std::vector<Real> dx(const Problem& p) const {
    PerChannel dbeta(mean_.size());
    sum(p, dbeta, [&](Index k, std::size_t) { return Real(p.dy[k]); });
    const PerChannel dgamma = this->dgamma(p);
    std::vector<Real> dx;
    for (Index k = 0; k < p.x.size(); ++k) {
      const auto c = std::size_t(p.task.channel_of(k));
      dx.push_back(inv_std_[c] * (p.dy[k] - dbeta[c] / count_ - x_hat(p, k) * dgamma[c] / count_));
    }
    return dx;
  }

 private:
  Real x_hat(const Problem& p, Index k) const {
    const auto c = std::size_t(p.task.channel_of(k));
    return (p.x[k] - mean_[c]) * inv_std_[c];
  }

  template <class Term>
  static void sum(const Problem& p, PerChannel& sums, const Term& term) {
    std::fill(sums.begin(), sums.end(), Real(0));
    for_each_value(p.task, [&](Index k, std::size_t c, Index) { sums[c] += term(k, c); });
  }

  Real count_;
  PerChannel mean_, inv_std_;
};

Real largest(const std::vector<Real>& values) {
  Real result = 0;
  for (const Real value : values) result = std::max(result, std::abs(value));
  return result;
}

/// The largest of error / scale(reference); NaN if there is one.
template <class Scale>
double largest_error(const std::vector<float>& values, const std::vector<Real>& reference, const Scale& scale) {
  Real result = 0;
  for (std::size_t k = 0; k < values.size(); ++k) {
    const Real error = std::abs(values[k] - reference[k]) / scale(reference[k]);
    if (std::isnan(error)) return NAN;
    result = std::max(result, error);
  }
  return static_cast<double>(result);
}

double error_of_y(const std::vector<float>& y, const std::vector<Real>& reference) {
  return largest_error(y, reference, [](Real value) { return std::max(Real(1), std::abs(value)); });
}

double error_of_gradient(const std::vector<float>& gradient, const std::vector<Real>& reference) {
  const Real scale = largest(reference);
  return largest_error(gradient, reference, [&](Real) { return scale > 0 ? scale : 1; });
}

/// Each library in the problem's own memory layout.
std::vector<Candidate> candidates_for(Problem& problem) {
  std::vector<Candidate> candidates;
  for (const Library& library : libraries()) {
    if (library.key == "limit") continue;
    auto forms = library.make(problem, 1);
    if (!forms.empty()) candidates.push_back(std::move(forms.front()));
  }
  return candidates;
}

/// The errors of all libraries in one quantity, one row for each place and kind of data.
struct ErrorTable {
  const char* quantity;
  std::vector<std::vector<std::string>> rows;
};

struct ErrorTables {
  ErrorTable y{"y", {}}, dx{"dx", {}}, dgamma{"dgamma", {}};
  std::vector<std::string> header;
};

void add_rows(ErrorTables& tables, const Place& place, const Data& data) {
  Problem forward({Pass::forward, place.layout, Activation::identity, place.shape});
  Problem backward({Pass::backward, place.layout, Activation::identity, place.shape});
  fill(forward, data);
  fill(backward, data);
  const Reference reference(backward);
  const auto y = reference.y(backward), dx = reference.dx(backward), dgamma = reference.dgamma(backward);

  const std::string name = place.shape.name + ", " + data.name;
  tables.header = {"shape, data"};
  for (ErrorTable* table : {&tables.y, &tables.dx, &tables.dgamma}) table->rows.push_back({name});
  for (const Candidate& candidate : candidates_for(forward)) {
    tables.header.push_back(candidate.library);
    tables.y.rows.back().push_back(scientific(error_of_y(result_of(forward, candidate).out, y)));
  }
  for (const Candidate& candidate : candidates_for(backward)) {
    const Result result = result_of(backward, candidate);
    tables.dx.rows.back().push_back(scientific(error_of_gradient(result.out, dx)));
    tables.dgamma.rows.back().push_back(scientific(error_of_gradient(result.dgamma, dgamma)));
  }
}

void print(const ErrorTables& tables) {
  for (const ErrorTable* errors : {&tables.y, &tables.dx, &tables.dgamma}) {
    Table table(tables.header);
    for (const auto& row : errors->rows) table.add(row);
    std::cout << "\n### " << errors->quantity << "\n\n" << table;
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Errors of batch normalization in float, of this library and of others, on hard data.", "accuracy");
  try {
    app.parse(argc, argv);
    for (const auto& [name, value] : describe_machine()) std::cout << name << ": " << value << "\n";
    ErrorTables tables;
    for (const Place& place : places) {
      for (const Data& data : hard_data) add_rows(tables, place, data);
    }
    print(tables);
    return 0;
  } catch (const CLI::Error& error) {
    return app.exit(error);
  } catch (const std::exception& error) {
    std::cerr << "accuracy: " << error.what() << std::endl;
    return 1;
  }
}
