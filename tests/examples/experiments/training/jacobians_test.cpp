#include "experiments/training/jacobians.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "nn/activations.hpp"
#include "nn/batch_norm.hpp"
#include "nn/dense.hpp"
#include "support/throws.hpp"
#include "support/values.hpp"

namespace jacobians_test {

using Eigen::ArrayXd, Eigen::MatrixXd;
using testing_support::max_abs;
using training::NormalizedBatch;

constexpr Eigen::Index samples = 7, inputs = 6;
constexpr double epsilon = 1e-3;  // large enough to be seen
const std::vector<Eigen::Index> widths = {5, 4, 3};

/// Three hidden layers of few units, and an output layer; gammas, betas and biases are as random as weights.
nn::Sequential<double> make_model(bool batch_norm) {
  nn::Sequential<double> model;
  Eigen::Index before = inputs;
  for (const Eigen::Index width : widths) {
    model.add(nn::Dense<double>(before, width, batch_norm ? nn::Bias::no : nn::Bias::yes));
    if (batch_norm) model.add(nn::BatchNorm<double>({.channels = width, .epsilon = epsilon}));
    model.add(nn::Sigmoid<double>());
    before = width;
  }
  model.add(nn::Dense<double>(before, 2));
  nn::Normal normal(1);
  model.for_each_parameter([&](batchnorm::Parameter<double> parameter) {
    for (double& value : parameter.value) value = normal();
  });
  return model;
}

nn::Matrix<double> make_images() {
  nn::Normal normal(2);
  nn::Matrix<double> images(samples, inputs);
  for (double& value : images.reshaped()) value = normal();
  return images;
}

/// What the paper's formulas make of a network, step by step and without any of its code.
struct Reference {
  std::vector<MatrixXd> weights, x_hat;
  std::vector<ArrayXd> biases, scales, shifts, means, deviations;

  Reference(bool batch_norm, const MatrixXd& images) {
    auto model = make_model(batch_norm);
    std::vector<MatrixXd> matrices;
    std::vector<ArrayXd> betas, gammas;
    Eigen::Index before = inputs;
    model.for_each_parameter([&](batchnorm::Parameter<double> parameter) {
      if (parameter.name == "weight") {
        weights.push_back(Eigen::Map<const MatrixXd>(parameter.value.data(), before, parameter.value.size() / before));
        before = weights.back().cols();
      }
      if (parameter.name == "bias") biases.push_back(parameter.value);
      if (parameter.name == "gamma") gammas.push_back(parameter.value);
      if (parameter.name == "beta") betas.push_back(parameter.value);
    });
    MatrixXd h = images;
    for (std::size_t i = 0; i < widths.size(); ++i) {
      if (batch_norm) biases.insert(biases.begin() + static_cast<std::ptrdiff_t>(i), ArrayXd::Zero(widths[i]));
      const MatrixXd u = before_normalization(i, h);
      means.push_back(u.colwise().mean());
      deviations.push_back(deviations_of(u, batch_norm ? epsilon : 0));
      scales.push_back(batch_norm ? gammas[i] : deviations[i]);
      shifts.push_back(batch_norm ? betas[i] : means[i]);
      x_hat.push_back(normalized(u, means[i], deviations[i]));
      h = sigmoids(i, x_hat[i]);
    }
    is_normalized = batch_norm;
  }

  MatrixXd before_normalization(std::size_t layer, const MatrixXd& h) const {
    return (h * weights[layer]).rowwise() + biases[layer].matrix().transpose();
  }
  static ArrayXd deviations_of(const MatrixXd& u, double epsilon_) {
    const MatrixXd centered = u.rowwise() - u.colwise().mean();
    return (centered.array().square().colwise().mean() + epsilon_).sqrt();
  }
  static MatrixXd normalized(const MatrixXd& u, const ArrayXd& mean, const ArrayXd& deviation) {
    return (u.array().rowwise() - mean.transpose()).rowwise() / deviation.transpose();
  }
  MatrixXd sigmoids(std::size_t layer, const MatrixXd& vectors) const {
    const Eigen::ArrayXXd a =
        (vectors.array().rowwise() * scales[layer].transpose()).rowwise() + shifts[layer].transpose();
    return 1 / (1 + (-a).exp());
  }

  /// F: from the normalized vectors of one layer to those of another.
  MatrixXd map(std::size_t from, std::size_t to, MatrixXd vectors, bool through) const {
    for (std::size_t i = from + 1; i <= to; ++i) {
      const MatrixXd u = before_normalization(i, sigmoids(i - 1, vectors));
      vectors = through ? normalized(u, u.colwise().mean(), deviations_of(u, is_normalized ? epsilon : 0))
                        : normalized(u, means[i], deviations[i]);
    }
    return vectors;
  }

  /// Its derivative with respect to a sample's vector by central differences, a column for each of its units.
  MatrixXd differences(std::size_t from, std::size_t to, Eigen::Index sample, bool through) const {
    constexpr double step = 1e-5;
    MatrixXd result(samples * widths[to], widths[from]);
    for (Eigen::Index unit = 0; unit < widths[from]; ++unit) {
      MatrixXd below = x_hat[from], above = below;
      below(sample, unit) -= step;
      above(sample, unit) += step;
      const MatrixXd change = map(from, to, above, through) - map(from, to, below, through);
      result.col(unit) = change.reshaped() / (2 * step);
    }
    return result;
  }

  bool is_normalized = false;
};

/// Of central differences at 1e-5: the step's square times a third derivative of up to a hundred, and roundings of
/// 1e-15 of vectors of a few over the step.
constexpr double tolerance = 1e-8;

struct JacobiansOf : testing::TestWithParam<bool> {
  const bool batch_norm = GetParam();
  nn::Sequential<double> model = make_model(batch_norm);
  const nn::Matrix<double> images = make_images();
  const NormalizedBatch batch{model, images};
  const Reference reference{batch_norm, images};

  template <class Check>
  void for_each_pair(const Check& check) const {
    for (const auto& [from, to] : {std::pair<std::size_t, std::size_t>{0, 1}, {1, 2}, {0, 2}}) {
      for (Eigen::Index sample = 0; sample < samples; ++sample) {
        SCOPED_TRACE("layers " + std::to_string(from) + " to " + std::to_string(to) + ", sample " +
                     std::to_string(sample));
        check(from, to, sample);
      }
    }
  }
};

INSTANTIATE_TEST_SUITE_P(WithAndWithoutBatchNorm, JacobiansOf, testing::Bool(),
                         [](const auto& one) { return one.param ? "with" : "without"; });

TEST_P(JacobiansOf, TheirVectorsAreThoseOfTheFormulas) {
  ASSERT_EQ(batch.layers(), 3u);
  EXPECT_EQ(batch.samples(), samples);
  for (std::size_t layer = 0; layer < 3; ++layer)
    EXPECT_LT(max_abs(batch.normalized(layer) - reference.x_hat[layer]), 1e-12);
}

TEST_P(JacobiansOf, StatisticsHeldAreCentralDifferences) {
  for_each_pair([&](std::size_t from, std::size_t to, Eigen::Index sample) {
    const MatrixXd all = reference.differences(from, to, sample, false);
    MatrixXd own(widths[to], widths[from]);
    for (Eigen::Index unit = 0; unit < widths[to]; ++unit) own.row(unit) = all.row(unit * samples + sample);
    EXPECT_LT(max_abs(batch.jacobian(from, to, sample) - own), tolerance);
    EXPECT_LT(std::abs(all.norm() - own.norm()), tolerance) << "no other sample changes";
  });
}

TEST_P(JacobiansOf, GoneThroughTheStatisticsTheyAreCentralDifferences) {
  for_each_pair([&](std::size_t from, std::size_t to, Eigen::Index sample) {
    const MatrixXd expected = reference.differences(from, to, sample, true);
    EXPECT_LT(max_abs(batch.jacobian_of_batch(from, to, sample) - expected), tolerance);
    EXPECT_GT((batch.jacobian(from, to, sample) - expected.topRows(widths[to])).norm(), 1e-2);
  });
}

TEST_P(JacobiansOf, BetweenTheSigmoidsInputsTheyAreTheSameInOtherUnits) {
  for_each_pair([&](std::size_t from, std::size_t to, Eigen::Index sample) {
    Eigen::ArrayXXd in_units = batch.unnormalized_jacobian(from, to, sample).array();
    in_units.colwise() /= reference.deviations[to];
    in_units.rowwise() *= reference.scales[from].transpose();
    EXPECT_LT(max_abs(batch.jacobian(from, to, sample) - in_units.matrix()), 1e-12 * in_units.maxCoeff());
  });
}

// Normalization takes two directions of the batch from each unit and shortens none of the others: so by Cauchy's
// interlacing the singular values of the whole batch's Jacobian are no larger than those with the statistics held, and
// no smaller than those 2 units further down. This is why quantiles hardly depend on it in a large batch.
TEST_P(JacobiansOf, TheWholeBatchsSingularValuesInterlaceWithThoseOfStatisticsHeld) {
  const std::size_t from = 0, to = 1;
  MatrixXd whole(samples * widths[to], samples * widths[from]);
  std::vector<double> held;
  for (Eigen::Index sample = 0; sample < samples; ++sample) {
    whole.middleCols(sample * widths[from], widths[from]) = batch.jacobian_of_batch(from, to, sample);
    const auto own = training::singular_values(batch.jacobian(from, to, sample));
    held.insert(held.end(), own.begin(), own.end());
  }
  std::vector<double> through = training::singular_values(whole.transpose());
  std::ranges::sort(held, std::greater());
  std::ranges::sort(through, std::greater());
  const std::size_t lost = 2 * static_cast<std::size_t>(widths[to]);
  ASSERT_EQ(held.size(), through.size());
  for (std::size_t i = 0; i < held.size(); ++i) {
    EXPECT_LE(through[i], held[i] + 1e-12);
    if (i + lost < held.size()) {
      EXPECT_GE(through[i], held[i + lost] - 1e-12);
    }
  }
}

TEST(Jacobians, RefuseOtherLayers) {
  nn::Sequential<double> model;
  model.add(nn::Dense<double>(3, 2));
  model.add(nn::Relu<double>());
  const nn::Matrix<double> images = nn::Matrix<double>::Random(4, 3);
  const std::string refusal = testing_support::message_of([&] { const NormalizedBatch batch(model, images); });
  EXPECT_NE(refusal.find("layer 1: expected dense layers"), std::string::npos) << refusal;
}

TEST(Jacobians, TakeNetworksOfFloatAndLeaveThemAsTheyWere) {
  nn::Sequential<float> model;
  model.add(nn::Dense<float>(6, 5, nn::Bias::no));
  model.add(nn::BatchNorm<float>({.channels = 5}));
  model.add(nn::Sigmoid<float>());
  nn::initialize_weights(model, 1.0, 3);
  const nn::Matrix<float> images = make_images().cast<float>();
  const NormalizedBatch batch(model, images);
  EXPECT_EQ(batch.layers(), 1u);
  EXPECT_LT(max_abs(batch.normalized(0).colwise().mean()), 1e-12);
  EXPECT_EQ(model.mode(), batchnorm::Mode::training);
  model.for_each_statistics([](const auto&, const batchnorm::RunningStatistics& running) {
    EXPECT_EQ(running.batches, 0) << "a look is no training";
  });
}

// With orthogonal weights in front of units that vary alike, and inputs near 0, where a sigmoid is 1/2 + x / 4: what
// the paper assumes holds, and all singular values are 1.
TEST(Jacobians, AreOrthogonalWhereThePapersAssumptionsHold) {
  constexpr Eigen::Index units = 4;
  nn::Sequential<double> model;
  model.add(nn::Dense<double>(units, units, nn::Bias::no));
  model.add(nn::BatchNorm<double>({.channels = units, .epsilon = 1e-30}));
  model.add(nn::Sigmoid<double>());
  model.add(nn::Dense<double>(units, units, nn::Bias::no));
  model.add(nn::BatchNorm<double>({.channels = units, .epsilon = 1e-30}));
  model.add(nn::Sigmoid<double>());
  MatrixXd orthogonal(units, units);  // Hadamard's
  orthogonal << 1, 1, 1, 1, 1, -1, 1, -1, 1, 1, -1, -1, 1, -1, -1, 1;
  orthogonal /= 2;
  constexpr double gamma = 1e-4;
  bool is_first = true;
  model.for_each_parameter([&](batchnorm::Parameter<double> parameter) {
    if (parameter.name == "gamma") parameter.value = gamma;
    if (parameter.name != "weight") return;
    Eigen::Map<MatrixXd> weight(parameter.value.data(), units, units);
    weight = is_first ? MatrixXd::Identity(units, units) : orthogonal;
    is_first = false;
  });
  nn::Matrix<double> images(2 * units, units);  // of mean 0 and uncorrelated
  images << nn::Matrix<double>::Identity(units, units), -nn::Matrix<double>::Identity(units, units);
  const NormalizedBatch batch(model, images);
  EXPECT_NEAR(training::effective_dimension(batch.normalized(0)), units, 1e-12);
  // An input's slope is 1/4 but for its square / 16, and it is at most gamma * 2 with x_hat = +-2.
  for (const double value : training::singular_values(batch.jacobian(0, 1, 0))) EXPECT_NEAR(value, 1, gamma * gamma);
  const training::Spectrum spectrum = training::spectrum_of(training::singular_values(batch.jacobian(0, 1, 1)));
  EXPECT_EQ(spectrum.near_one, 1);
}

TEST(SingularValues, OfKnownMatrices) {
  MatrixXd tall = MatrixXd::Zero(5, 2);
  tall(1, 0) = 3;
  tall(4, 1) = -4;
  std::vector<double> values = training::singular_values(tall);
  std::ranges::sort(values);
  ASSERT_EQ(values.size(), 2u);
  EXPECT_NEAR(values[0], 3, 1e-14);
  EXPECT_NEAR(values[1], 4, 1e-14);

  MatrixXd square(2, 2);
  square << 1, 1, 0, 1;  // the golden ratio, and its inverse
  values = training::singular_values(square);
  std::ranges::sort(values);
  EXPECT_NEAR(values[0], (std::sqrt(5) - 1) / 2, 1e-14);
  EXPECT_NEAR(values[1], (std::sqrt(5) + 1) / 2, 1e-14);

  square(0, 1) = std::numeric_limits<double>::infinity();
  values = training::singular_values(square);
  ASSERT_EQ(values.size(), 2u);
  EXPECT_TRUE(std::isnan(values[0]) && std::isnan(values[1]));
}

TEST(Spectrum, CountsAndOrders) {
  const training::Spectrum spectrum = training::spectrum_of({4, 0.5, 0, 2, 1});
  EXPECT_EQ(spectrum.percentiles.front(), 0);
  EXPECT_EQ(spectrum.percentiles[25], 0.5);
  EXPECT_EQ(spectrum.percentiles[50], 1);
  EXPECT_NEAR(spectrum.percentiles[90], 3.2, 1e-14);
  EXPECT_EQ(spectrum.percentiles.back(), 4);
  EXPECT_NEAR(spectrum.root_mean_square, std::sqrt(21.25 / 5), 1e-14);
  EXPECT_EQ(spectrum.near_one, 0.6) << "both ends are in";
}

TEST(Spectrum, OfNothingOrNaNIsNaN) {
  for (const std::vector<double>& values :
       {std::vector<double>{}, std::vector<double>{1, std::numeric_limits<double>::quiet_NaN()}}) {
    const training::Spectrum spectrum = training::spectrum_of(values);
    EXPECT_TRUE(std::isnan(spectrum.percentiles[50]));
    EXPECT_TRUE(std::isnan(spectrum.root_mean_square));
    EXPECT_TRUE(std::isnan(spectrum.near_one));
  }
}

TEST(EffectiveDimension, IsOneOfAMultipleAndAllOfUncorrelatedOnes) {
  MatrixXd vectors(4, 2);
  vectors << 1, 3, 2, 5, 3, 7, 4, 9;
  EXPECT_NEAR(training::effective_dimension(vectors), 1, 1e-12);
  vectors << 1, 1, 1, -1, -1, 1, -1, -1;
  EXPECT_NEAR(training::effective_dimension(vectors), 2, 1e-12);
  vectors.col(1) *= 2;  // variances 1 and 4: 25 / 17
  EXPECT_NEAR(training::effective_dimension(vectors), 25.0 / 17, 1e-12);
}

}  // namespace jacobians_test
