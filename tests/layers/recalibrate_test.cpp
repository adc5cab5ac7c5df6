#include <gtest/gtest.h>

#include <batchnorm/batchnorm.hpp>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include "support/compare.hpp"
#include "support/kernels.hpp"
#include "support/state.hpp"
#include "support/throws.hpp"

namespace recalibrate_test {

namespace bn = batchnorm;
using testing_support::equal_state;
using testing_support::equal_statistics;
using testing_support::has_parts;
using testing_support::message_of;

using Matrix = Eigen::MatrixXd;
using Layer = bn::BatchNorm<double>;

// Unbiased variances 12 and 8/3, means 0 and 10.
const Matrix first{{-3}, {3}, {-3}, {3}}, second{{8}, {10}, {10}, {12}};

Layer used_layer(const bn::Options& options = {.channels = 1}) {
  Layer layer(options);
  Matrix y;
  layer.forward(first, y);
  return layer;
}

/// A range whose second batch cannot be read.
struct BrokenRange {
  struct Iterator {
    int position;
    const Matrix& operator*() const {
      if (position == 1) throw std::runtime_error("the file ends here");
      return first;
    }
    Iterator& operator++() {
      ++position;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return position != other.position; }
  };
  Iterator begin() const { return {0}; }
  Iterator end() const { return {3}; }
};

TEST(Recalibrate, SetsRunningStatisticsByAlgorithm2) {
  Layer layer = used_layer();
  bn::recalibrate(layer, std::vector<Matrix>{first, second});
  EXPECT_EQ(layer.running().mean[0], 5.0);
  EXPECT_DOUBLE_EQ(layer.running().variance[0], (12.0 + 8.0 / 3.0) / 2.0);
  EXPECT_EQ(layer.running().batches, 2);
}

TEST(Recalibrate, WeighsUnequalBatchesByCount) {
  Layer layer = used_layer();
  const Matrix two{{19}, {21}};  // mean 20, unbiased variance 2
  bn::recalibrate(layer, std::vector<Matrix>{first, two});
  EXPECT_DOUBLE_EQ(layer.running().mean[0], (4 * 0.0 + 2 * 20.0) / 6);
  EXPECT_DOUBLE_EQ(layer.running().variance[0], (4 * 12.0 + 2 * 2.0) / 6);
}

TEST(Recalibrate, ForgetsWhatTheRunningStatisticsWereBefore) {
  Layer fresh({.channels = 1}), layer = used_layer();
  layer.running().mean[0] = 1e9;
  bn::recalibrate(fresh, std::vector<Matrix>{first, second});
  bn::recalibrate(layer, std::vector<Matrix>{first, second});
  EXPECT_TRUE(equal_statistics(layer.running().mean, fresh.running().mean));
  EXPECT_TRUE(equal_statistics(layer.running().variance, fresh.running().variance));
}

TEST(Recalibrate, LeavesModeGradientsAndSavedPassAlone) {
  Layer layer = used_layer();
  layer.gradients().gamma[0] = 3;
  layer.set_mode(bn::Mode::frozen);
  bn::recalibrate(layer, std::vector<Matrix>{second});
  EXPECT_EQ(layer.mode(), bn::Mode::frozen);
  EXPECT_EQ(layer.gradients().gamma[0], 3);
  Matrix dx;
  EXPECT_NO_THROW(layer.backward(first, second, dx));
}

TEST(Recalibrate, LeavesTheLayerUnchangedIfABatchDoesNotFit) {
  Layer layer = used_layer();
  const Layer before = layer;
  const Matrix wide = Matrix::Zero(4, 2), single{{1}}, none(0, 1);
  Matrix broken = second;
  broken(2, 0) = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(has_parts(message_of([&] {
                          bn::recalibrate(layer, std::vector<Matrix>{first, wide});
                        }),
                        "recalibrate(batch)", "expected 1 channel", "axis 1", "got 2"));
  EXPECT_TRUE(equal_state(layer, before));
  for (const Matrix& bad : {single, none}) {
    EXPECT_THROW(bn::recalibrate(layer, std::vector<Matrix>{first, bad}), std::invalid_argument);
    EXPECT_TRUE(equal_state(layer, before));
  }
  Layer strict = used_layer({.channels = 1, .non_finite = bn::NonFinite::error});
  const Layer strict_before = strict;
  EXPECT_TRUE(has_parts(message_of([&] {
                          bn::recalibrate(strict, std::vector<Matrix>{first, broken});
                        }),
                        "finite", "channel 0", "NonFinite::skip"));
  EXPECT_TRUE(equal_state(strict, strict_before));
  EXPECT_THROW(bn::recalibrate(layer, std::vector<Matrix>{broken}), std::invalid_argument) << "all are left out";
  EXPECT_TRUE(equal_state(layer, before));
  EXPECT_THROW(bn::recalibrate(layer, std::vector<Matrix>{}), std::invalid_argument);
  EXPECT_TRUE(equal_state(layer, before));
}

// What training with cumulative() keeps of the same batches, of one size: their mean, whatever the options are.
TEST(Recalibrate, DoesWhatTrainingWouldUnderTheSameOptions) {
  Matrix broken = second;
  broken(2, 0) = std::numeric_limits<double>::quiet_NaN();
  const Matrix single{{7}};
  for (const auto kind : {bn::RunningVariance::unbiased, bn::RunningVariance::biased}) {
    for (const auto single_value : {bn::SingleValue::zero_variance, bn::SingleValue::running}) {
      const bn::Options options{
          .channels = 1, .averaging = bn::cumulative(), .running_variance = kind, .single_value = single_value};
      const std::vector<Matrix> batches{first, broken, second, single};
      Layer trained(options), recalibrated = used_layer(options);
      for (const Matrix& batch : batches) {
        Matrix y;
        trained.forward(batch, y);
      }
      bn::recalibrate(recalibrated, batches);
      EXPECT_DOUBLE_EQ(recalibrated.running().mean[0], trained.running().mean[0]);
      EXPECT_DOUBLE_EQ(recalibrated.running().variance[0], trained.running().variance[0]);
      EXPECT_EQ(recalibrated.running().batches, 2);
      EXPECT_EQ(recalibrated.running().skipped, 2);
      EXPECT_EQ(trained.running().batches, 2);
      EXPECT_EQ(trained.running().skipped, 2);
    }
  }
}

TEST(Recalibrate, KeepsTheBiasedVarianceInALayerThatDoes) {
  Layer layer({.channels = 1, .running_variance = bn::RunningVariance::biased});
  bn::recalibrate(layer, std::vector<Matrix>{Matrix{{0}, {2}}, Matrix{{0}, {2}}});
  EXPECT_EQ(layer.running().variance[0], 1.0);
}

TEST(Recalibrate, LetsNaNInWhereTrainingWould) {
  Layer layer({.channels = 2, .non_finite = bn::NonFinite::propagate});
  const Matrix batch{{std::numeric_limits<double>::quiet_NaN(), 1}, {2, 3}};
  bn::recalibrate(layer, std::vector<Matrix>{batch});
  EXPECT_TRUE(std::isnan(layer.running().mean[0]));
  EXPECT_EQ(layer.running().mean[1], 2.0);
  EXPECT_EQ(layer.running().variance[1], 2.0);
  EXPECT_EQ(layer.running().skipped, 0);
}

TEST(Recalibrate, TakesTheVarianceOfAllValuesIfAsked) {
  Layer layer = used_layer();
  const std::vector<Matrix> batches{Matrix{{-1}, {0}, {0}, {1}}, Matrix{{99}, {100}, {100}, {101}}};
  bn::recalibrate(layer, batches);
  EXPECT_DOUBLE_EQ(layer.running().variance[0], 2.0 / 3.0);
  bn::recalibrate(layer, batches, {.variance = bn::PopulationVariance::of_all_values});
  EXPECT_EQ(layer.running().mean[0], 50.0);
  EXPECT_DOUBLE_EQ(layer.running().variance[0], 20004.0 / 7.0);
}

TEST(Recalibrate, IsDoneByHandForBatchesWithPadding) {
  const Matrix padded{{1}, {2}, {3}, {4}, {5}, {1e9}, {1e9}};
  const Eigen::ArrayXd mask{{1, 1, 1, 1, 1, 0, 0}};
  bn::PopulationStatistics population(1);
  bn::Moments moments;
  bn::batch_moments(padded, moments, {.weights = mask});
  population.add(moments);
  bn::batch_moments(first, moments);
  population.add(moments);
  Layer layer = used_layer();
  layer.running() = population.statistics();
  EXPECT_DOUBLE_EQ(layer.running().mean[0], 5 * 3.0 / 9);
  EXPECT_DOUBLE_EQ(layer.running().variance[0], (5 * 2.5 + 4 * 12.0) / 9);
}

TEST(Recalibrate, LeavesTheLayerUnchangedIfReadingABatchThrows) {
  Layer layer = used_layer();
  const Layer before = layer;
  EXPECT_THROW(bn::recalibrate(layer, BrokenRange{}), std::runtime_error);
  EXPECT_TRUE(equal_state(layer, before));
}

}  // namespace recalibrate_test
