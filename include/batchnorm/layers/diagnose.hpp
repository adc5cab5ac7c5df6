/// \file
/// What is wrong with a layer, as far as its state tells.
#pragma once

#include <batchnorm/layers/batch_norm.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

/// What a finding is about.
enum class FindingKind {
  no_batches,              ///< running statistics have seen no batch
  skipped_batches,         ///< running statistics left batches out
  noisy_average,           ///< running means err by more than a tenth of a standard deviation, since batches are small
  not_finite,              ///< a parameter, a gradient, a running statistic or one of the last batch
  negative_variance,       ///< a running variance below zero, which inference refuses
  dead,                    ///< y is the same for all x, or nearly: also where gamma begins with 0 on purpose
  variance_below_epsilon,  ///< epsilon decides the scale of y
  running_differs,         ///< inference would not normalize the last batch
  saturated                ///< a fused sigmoid or tanh is flat for more than half of its inputs
};

/// Something that is wrong; prints as a sentence that begins with the channel.
struct Finding {
  /// What it is about.
  FindingKind kind;
  /// Where, or -1 for the layer as a whole.
  Index channel;
  /// What was found and, unless that is plain, what follows.
  std::string text;

  /// Prints it.
  friend std::ostream& operator<<(std::ostream& out, const Finding& finding) {
    if (finding.channel >= 0) out << "channel " << finding.channel << ": ";
    return out << finding.text;
  }
};

/// One channel: its state, and what follows from that. What cannot be computed, for want of a batch or of numbers, is
/// NaN.
struct ChannelDiagnosis {
  double gamma;             ///< The scale; 1 without one.
  double beta;              ///< The shift; 0 without one.
  double running_mean;      ///< As kept.
  double running_variance;  ///< As kept.
  double batch_mean;        ///< That of the last batch.
  double batch_variance;    ///< That of the last batch, m2 / count.
  /// The distance of the means in standard errors of a batch: (batch_mean - running_mean) / sqrt(running_variance /
  /// count).
  double mean_z;
  /// The ratio q of the variances, of the estimate that the layer keeps, as a standard normal number: with n = count -
  /// 1, (cbrt(q) - 1 + 2 / (9 n)) / sqrt(2 / (9 n)).
  double variance_z;
  /// The mean of x_hat if the last batch went through inference.
  double inferred_mean;
  /// Its standard deviation.
  double inferred_deviation;
  /// z = gamma x_hat + beta, what goes into the activation, at the quantiles 15, 50 and 85 %.
  std::array<double, 3> z;
  /// The share of inputs for which a sigmoid is flat.
  double flat_sigmoid;
  /// The share of inputs for which a tanh is flat.
  double flat_tanh;
};

/// What diagnose() found. Prints as a table; the findings are its elements.
struct Diagnosis {
  /// The layer, as it describes itself.
  std::string layer;
  /// Values per channel of the last batch; 0: there was none.
  double count = 0;
  /// Batches in the running statistics.
  std::int64_t batches = 0;
  /// Batches that were left out.
  std::int64_t skipped = 0;
  /// How much of mean 0 and variance 1, with which running statistics begin, the averaging leaves after as many
  /// batches. Statistics that were assigned or recalibrated have none of it.
  double share_of_start = 0;
  /// The weight of a new batch in the long run.
  double weight = 0;
  /// The weight for batches of this size; 0 if there was none.
  double suggested_weight = 0;
  /// Whether flat_sigmoid tells something: sigmoid is fused, or nothing is and it may come next.
  bool with_sigmoid = false;
  /// The same of flat_tanh.
  bool with_tanh = false;
  /// The share of channels in which a sigmoid is flat at the quantiles 15, 50 and 85 %.
  std::array<double, 3> flat_sigmoid{};
  /// The same of tanh.
  std::array<double, 3> flat_tanh{};
  /// One for each channel.
  std::vector<ChannelDiagnosis> channels;
  /// All that is wrong: first of the layer, then channel by channel.
  std::vector<Finding> findings;

  /// Of the findings.
  auto begin() const { return findings.begin(); }
  /// Of the findings.
  auto end() const { return findings.end(); }
  /// Whether something of this kind is wrong.
  bool has(FindingKind kind) const {
    return std::any_of(begin(), end(), [kind](const Finding& finding) { return finding.kind == kind; });
  }

  /// Prints the table: the least, the median and the largest number of each column, the channels that have findings,
  /// and the findings, sixteen of each at most.
  friend std::ostream& operator<<(std::ostream& out, const Diagnosis& diagnosis);
};

namespace detail {

/// At the quantile 85 % a standard normal number is this.
inline constexpr double normal_at_85 = 1.0364333894937896;
inline constexpr std::array<double, 3> normal_quantiles = {-normal_at_85, 0, normal_at_85};

/// From here on the slope of a sigmoid is below a tenth of its largest, 1/4: 2 atanh(sqrt(0.9)). That of a tanh is from
/// half of it.
inline constexpr double flat_from_sigmoid = 3.636892918464133, flat_from_tanh = flat_from_sigmoid / 2;

/// P(|beta + gamma u| > bound) for a standard normal u.
inline double share_beyond(double bound, double gamma, double beta) {
  const double spread = std::sqrt(2.0) * std::abs(gamma);
  if (spread == 0) return std::abs(beta) > bound ? 1 : 0;
  return (std::erfc((bound - beta) / spread) + std::erfc((bound + beta) / spread)) / 2;
}

/// What may be fused, as far as it makes a difference here.
enum class Fused { nothing, relu, sigmoid, tanh, other };

template <class Activation>
constexpr Fused fused() {
  if constexpr (std::is_same_v<Activation, activations::identity>) return Fused::nothing;
  if constexpr (std::is_same_v<Activation, activations::relu>) return Fused::relu;
  if constexpr (std::is_same_v<Activation, activations::sigmoid>) return Fused::sigmoid;
  if constexpr (std::is_same_v<Activation, activations::tanh>) return Fused::tanh;
  return Fused::other;
}

/// Makes a Diagnosis of what a layer has; no type of the layer enters.
class Examination {
 public:
  Examination(const Options& options, Fused fused, const RunningStatistics& running, const Moments& batch)
      : options_(options), fused_(fused), running_(running), batch_(batch) {}

  /// Empty arrays: a parameter that is off.
  Diagnosis examine(const Eigen::ArrayXd& gamma, const Eigen::ArrayXd& beta, const Eigen::ArrayXd& dgamma,
                    const Eigen::ArrayXd& dbeta) {
    const bool untouched = running_.batches == 0 && (running_.mean == 0).all() && (running_.variance == 1).all();
    diagnosis_.with_sigmoid = fused_ == Fused::nothing || fused_ == Fused::sigmoid;
    diagnosis_.with_tanh = fused_ == Fused::nothing || fused_ == Fused::tanh;
    examine_averaging(untouched);
    diagnosis_.channels.reserve(static_cast<std::size_t>(options_.channels));
    for (Index c = 0; c < options_.channels; ++c) {
      ChannelDiagnosis channel{};
      channel.gamma = gamma.size() == 0 ? 1 : gamma[c];
      channel.beta = beta.size() == 0 ? 0 : beta[c];
      channel.running_mean = running_.mean[c];
      channel.running_variance = running_.variance[c];
      channel.batch_mean = batch_.count > 0 ? batch_.mean[c] : nan;
      channel.batch_variance = batch_.count > 0 ? batch_.m2[c] / batch_.count : nan;
      expect_finite(c, "gamma", channel.gamma);
      expect_finite(c, "beta", channel.beta);
      if (dgamma.size() != 0) expect_finite(c, "the gradient of gamma", dgamma[c]);
      if (dbeta.size() != 0) expect_finite(c, "the gradient of beta", dbeta[c]);
      examine_statistics(c, untouched, channel);
      examine_z(c, channel);
      diagnosis_.channels.push_back(channel);
    }
    return std::move(diagnosis_);
  }

 private:
  static constexpr double nan = std::numeric_limits<double>::quiet_NaN();

  template <class... Parts>
  void find(FindingKind kind, Index channel, const Parts&... parts) {
    std::ostringstream text;
    text.precision(3);
    (text << ... << parts);
    diagnosis_.findings.push_back({kind, channel, text.str()});
  }

  bool expect_finite(Index c, const char* name, double value) {
    if (is_finite(value)) return true;
    find(FindingKind::not_finite, c, name, " is ", value);
    return false;
  }

  void examine_averaging(bool untouched) {
    const Averaging& averaging = options_.averaging;
    diagnosis_.count = batch_.count;
    diagnosis_.batches = running_.batches;
    diagnosis_.skipped = running_.skipped;
    // All kinds but the exponential ones, whose weights are all alike, give the first batch all or nothing.
    diagnosis_.share_of_start = std::pow(1 - averaging.weight(0), static_cast<double>(running_.batches));
    diagnosis_.weight = averaging.weight(std::numeric_limits<std::int64_t>::max());
    if (untouched) {
      find(FindingKind::no_batches, -1,
           "the running statistics have seen no batch: inference would use mean 0 and variance 1");
    }
    if (running_.skipped > 0) {
      find(FindingKind::skipped_batches, -1, running_.skipped, " of ", running_.skipped + running_.batches,
           " batches were left out of the running statistics: they were not finite, or had one value per channel");
    }
    if (!(batch_.count > 0)) return;
    const double m = batch_.count, weight = diagnosis_.weight;
    diagnosis_.suggested_weight = std::clamp(2 * m / (1e4 + m), 1e-3, 0.1);
    const double error = std::sqrt(weight / ((2 - weight) * m));
    if (error > 0.1) {
      find(FindingKind::noisy_average, -1, averaging, " of batches of ", m, " values: running means err by ", error,
           " standard deviations; exponential(", diagnosis_.suggested_weight, ") is suggested");
    }
  }

  void examine_statistics(Index c, bool untouched, ChannelDiagnosis& channel) {
    const bool finite_mean = expect_finite(c, "the running mean", channel.running_mean);
    const bool finite_variance = expect_finite(c, "the running variance", channel.running_variance);
    if (finite_variance && channel.running_variance < 0) {
      find(FindingKind::negative_variance, c, "the running variance is ", channel.running_variance,
           ", which inference refuses");
    }
    const bool usable = finite_mean && finite_variance && channel.running_variance >= 0;
    bool has_batch = batch_.count > 0;
    if (has_batch) {
      const bool finite = expect_finite(c, "the last batch's mean", channel.batch_mean);
      has_batch = expect_finite(c, "the last batch's variance", channel.batch_variance) && finite && batch_.count > 1;
    }
    const bool constant = has_batch && channel.batch_variance == 0;
    if (constant) find(FindingKind::dead, c, "x is ", channel.batch_mean, " in all of the last batch, so y is beta");
    const auto examine_variance = [&](const char* name, double variance) {
      if (constant || !(variance < options_.epsilon)) return;
      find(FindingKind::variance_below_epsilon, c, name, " is ", variance, ", below epsilon, ", options_.epsilon,
           ", which then decides the scale of y");
    };
    if (usable) examine_variance("the running variance", channel.running_variance);
    if (has_batch) examine_variance("the last batch's variance", channel.batch_variance);
    channel.mean_z = channel.variance_z = channel.inferred_mean = channel.inferred_deviation = nan;
    if (usable && has_batch) compare(c, untouched || constant, channel);
  }

  /// The running statistics with the last batch. What differs must be more than chance, 5 deviations, and large enough
  /// to be seen in y: the values of an image are alike, so that their means differ by more than those of as many
  /// independent ones.
  void compare(Index c, bool known, ChannelDiagnosis& channel) {
    const double m = batch_.count, distance = channel.batch_mean - channel.running_mean;
    const double kept = channel.running_variance,
                 estimate = batch_.m2[c] / variance_divisor(m, options_.running_variance);
    // Of a kept variance of 0 anything else is infinitely far.
    const auto relative = [](double part, double whole) { return part == 0 ? 0 : part / whole; };
    channel.mean_z = relative(distance, std::sqrt(kept / m));
    const double spread = 2 / (9 * (m - 1));
    channel.variance_z = (std::cbrt(relative(estimate, kept)) - 1 + spread) / std::sqrt(spread);
    channel.inferred_mean = distance / std::sqrt(kept + options_.epsilon);
    channel.inferred_deviation = std::sqrt(channel.batch_variance / (kept + options_.epsilon));
    const double deviation = channel.inferred_deviation;
    const bool mean_differs = std::abs(channel.mean_z) > 5 && std::abs(channel.inferred_mean) > 0.5;
    const bool variance_differs = std::abs(channel.variance_z) > 5 && (deviation > 2 || deviation < 0.5);
    if (known || !(mean_differs || variance_differs)) return;
    std::ostringstream young;
    young.precision(3);
    const double left = 100 * diagnosis_.share_of_start;
    if (left > 1 && running_.batches > 0) {
      young << "; if they were averaged in training, after " << running_.batches << " batches " << options_.averaging
            << " leaves " << left << " % of what they began with";
    }
    find(FindingKind::running_differs, c, "inference would give the last batch x_hat of mean ", channel.inferred_mean,
         " and standard deviation ", deviation, ", not 0 and 1 (z-scores of mean and variance: ", channel.mean_z, ", ",
         channel.variance_z, ")", young.str());
  }

  void examine_z(Index c, ChannelDiagnosis& channel) {
    channel.z.fill(nan);
    channel.flat_sigmoid = channel.flat_tanh = nan;
    if (!is_finite(channel.gamma) || !is_finite(channel.beta)) return;
    const double scale = std::abs(channel.gamma);
    for (std::size_t k = 0; k < channel.z.size(); ++k) {
      channel.z[k] = channel.beta + normal_quantiles[k] * scale;
      const double share = 1 / static_cast<double>(options_.channels);
      if (std::abs(channel.z[k]) > flat_from_sigmoid) diagnosis_.flat_sigmoid[k] += share;
      if (std::abs(channel.z[k]) > flat_from_tanh) diagnosis_.flat_tanh[k] += share;
    }
    channel.flat_sigmoid = share_beyond(flat_from_sigmoid, channel.gamma, channel.beta);
    channel.flat_tanh = share_beyond(flat_from_tanh, channel.gamma, channel.beta);
    // Beside a channel of gamma 1 it has 1e-8 of the variance, at most.
    if (scale < 1e-4) find(FindingKind::dead, c, "gamma is ", channel.gamma, ", so y is hardly more than beta");
    // 3e-5 of the inputs are above zero, at most.
    if (fused_ == Fused::relu && scale >= 1e-4 && channel.beta < -4 * scale) {
      find(FindingKind::dead, c, "relu makes 0 of nearly all inputs: gamma is ", channel.gamma, " and beta ",
           channel.beta);
    }
    const double flat = fused_ == Fused::sigmoid ? channel.flat_sigmoid : fused_ == Fused::tanh ? channel.flat_tanh : 0;
    if (flat > 0.5) {
      find(FindingKind::saturated, c, fused_ == Fused::sigmoid ? "sigmoid" : "tanh", " is flat for ", 100 * flat,
           " % of its inputs, which are ", channel.z[0], ", ", channel.z[1], " and ", channel.z[2],
           " at the quantiles 15, 50 and 85 %");
    }
  }

  const Options& options_;
  Fused fused_;
  const RunningStatistics& running_;
  const Moments& batch_;
  Diagnosis diagnosis_;
};

/// The table of a Diagnosis.
class DiagnosisTable {
 public:
  explicit DiagnosisTable(const Diagnosis& diagnosis) : diagnosis_(diagnosis) { text_.precision(3); }

  std::string print() {
    print_layer();
    print_channels();
    print_findings();
    return text_.str();
  }

 private:
  /// Rows of channels, and findings, that are printed: what a person looks at.
  static constexpr std::size_t most = 16;

  struct Column {
    const char *over, *title;
    double (*value)(const ChannelDiagnosis&);
  };

  std::vector<Column> columns() const {
    using Of = const ChannelDiagnosis&;
    std::vector<Column> result{{"", "gamma", [](Of c) { return c.gamma; }},
                               {"", "beta", [](Of c) { return c.beta; }},
                               {"running", "mean", [](Of c) { return c.running_mean; }},
                               {"", "variance", [](Of c) { return c.running_variance; }},
                               {"batch", "mean", [](Of c) { return c.batch_mean; }},
                               {"", "variance", [](Of c) { return c.batch_variance; }},
                               {"z-score", "mean", [](Of c) { return c.mean_z; }},
                               {"", "variance", [](Of c) { return c.variance_z; }},
                               {"z at", "15 %", [](Of c) { return c.z[0]; }},
                               {"", "50 %", [](Of c) { return c.z[1]; }},
                               {"", "85 %", [](Of c) { return c.z[2]; }}};
    if (diagnosis_.with_sigmoid) result.push_back({"flat", "sigmoid", [](Of c) { return c.flat_sigmoid; }});
    if (diagnosis_.with_tanh) result.push_back({"flat", "tanh", [](Of c) { return c.flat_tanh; }});
    return result;
  }

  template <class Value>
  void cell(const Value& value) {
    text_.width(10);
    text_ << value;
  }

  void number(double value) {
    if (is_finite(value)) return cell(value);
    cell(!is_infinite(value) ? "-" : std::signbit(value) ? "-inf" : "inf");
  }

  template <class Name>
  void head(const Name& name) {
    text_.width(8);
    text_ << name;
  }

  void print_layer() {
    const auto& d = diagnosis_;
    text_ << d.layer << "\n";
    if (d.count > 0) text_ << "last batch: " << d.count << " values per channel\n";
    if (!(d.count > 0)) text_ << "last batch: none\n";
    text_ << "running statistics: " << d.batches << " batches, " << d.skipped
          << " left out\nweight of a new batch: " << d.weight;
    if (d.suggested_weight > 0) text_ << ", suggested " << d.suggested_weight;
    const auto shares = [&](bool shown, const char* name, const std::array<double, 3>& flat) {
      if (!shown) return;
      text_ << "\n"
            << name << " is flat in " << 100 * flat[0] << ", " << 100 * flat[1] << ", " << 100 * flat[2]
            << " % of the channels at the quantiles 15, 50, 85 %";
    };
    shares(d.with_sigmoid, "sigmoid", d.flat_sigmoid);
    shares(d.with_tanh, "tanh", d.flat_tanh);
    text_ << "\n\n";
  }

  void print_channels() {
    const auto shown = columns();
    head("");
    for (const Column& column : shown) cell(column.over);
    text_ << "\n";
    head("channel");
    for (const Column& column : shown) cell(column.title);
    text_ << "\n";
    std::vector<std::vector<double>> sorted;
    sorted.reserve(shown.size());
    for (const Column& column : shown) sorted.push_back(finite_values(column));
    const auto summary = [&](const char* name, auto pick) {
      head(name);
      for (const auto& values : sorted)
        number(values.empty() ? std::numeric_limits<double>::quiet_NaN() : pick(values));
      text_ << "\n";
    };
    summary("least", [](const auto& values) { return values.front(); });
    summary("median", [](const auto& values) { return values[values.size() / 2]; });
    summary("largest", [](const auto& values) { return values.back(); });
    Index last = -1;
    std::size_t rows = 0;
    for (const Finding& finding : diagnosis_) {
      if (finding.channel == last || rows == most) continue;
      last = finding.channel;
      ++rows;
      head(last);
      for (const Column& column : shown) number(column.value(diagnosis_.channels[static_cast<std::size_t>(last)]));
      text_ << "\n";
    }
  }

  std::vector<double> finite_values(const Column& column) const {
    std::vector<double> values;
    for (const ChannelDiagnosis& channel : diagnosis_.channels) {
      if (is_finite(column.value(channel))) values.push_back(column.value(channel));
    }
    std::sort(values.begin(), values.end());
    return values;
  }

  void print_findings() {
    const auto& findings = diagnosis_.findings;
    text_ << "\n" << findings.size() << (findings.size() == 1 ? " finding" : " findings") << "\n";
    for (std::size_t k = 0; k < findings.size() && k < most; ++k) text_ << "  " << findings[k] << "\n";
    if (findings.size() > most) text_ << "  and " << findings.size() - most << " more\n";
  }

  const Diagnosis& diagnosis_;
  std::ostringstream text_;
};

/// What diagnose() finds in a layer, whatever it calls itself.
template <class Scalar, class Layout, class Activation>
Diagnosis examine(const BatchNorm<Scalar, Layout, Activation>& layer, const Moments& batch) {
  const Call<Layout> call{"diagnose"};
  const Options& options = layer.options();
  check_state(call, layer);
  if (!(is_finite(batch.count) && batch.count >= 0)) {
    fail("diagnose(batch): expected a count of values, got ", batch.count);
  }
  if (batch.count > 0) {
    call.check_size("batch.mean", batch.mean.size(), options.channels);
    call.check_size("batch.m2", batch.m2.size(), options.channels);
  }
  const auto& affine = layer.affine();
  const auto& gradients = layer.gradients();
  return Examination(options, fused<Activation>(), layer.running(), batch)
      .examine(affine.gamma.template cast<double>(), affine.beta.template cast<double>(),
               gradients.gamma.template cast<double>(), gradients.beta.template cast<double>());
}

template <class Layer>
concept Examinable = requires(const Layer& layer, const Moments& batch) {
  examine(layer, batch);
};

}  // namespace detail

/// Prints the table and the findings.
inline std::ostream& operator<<(std::ostream& out, const Diagnosis& diagnosis) {
  return out << detail::DiagnosisTable(diagnosis).print();
}

/// Looks at what a layer has: at parameters, gradients, running statistics, and at `batch`, the moments of some batch
/// of its inputs: those of test data tell whether inference fits them.
///
/// Where it speaks of z, the input of the activation, it takes x_hat for normal with mean 0 and variance 1, since x is
/// not at hand: the quantile p of z is then beta + |gamma| t, t that of the standard normal distribution, and what is
/// beyond a bound is a value of erfc. A sigmoid or tanh is called flat where its slope is below a tenth of the largest,
/// for |z| above 3.64 and 1.82.
///
/// The suggested weight w of a new batch makes a running mean, over independent values, err by 1 % of a standard
/// deviation: w / (2 - w) / count = 0.01^2, so w = 2 count / (10^4 + count), but at least 0.001, to forget old
/// parameters, and at most 0.1, as the values of an image are not independent.
///
/// Source   Ioffe & Szegedy 2015, arXiv:1502.03167, Figure 1 (the quantiles); Wilson & Hilferty 1931, "The Distribution
///          of Chi-Square" (the cube root, for variance_z).
/// Shapes   batch: of the layer's channels, or of count 0
/// Cost     looks at about ten numbers per channel, never at x
/// Throws   std::invalid_argument if parameters, gradients, running statistics or the batch were given another size
/// Threads  as infer(): safe as long as no other call changes the layer
template <detail::Examinable Layer>
Diagnosis diagnose(const Layer& layer, const Moments& batch) {
  Diagnosis diagnosis = detail::examine(layer, batch);
  diagnosis.layer = layer.describe();
  return diagnosis;
}

/// The same with the last batch that a forward pass read: layer.moments().
template <detail::Examinable Layer>
Diagnosis diagnose(const Layer& layer) {
  return diagnose(layer, layer.moments());
}

}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
