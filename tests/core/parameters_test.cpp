#include <gtest/gtest.h>

#include <batchnorm/core/parameters.hpp>

#include "support/throws.hpp"

namespace parameters_test {

namespace bn = batchnorm;

TEST(AffineParameters, StartsAsTheIdentity) {
  const bn::AffineParameters<float> affine(3);
  EXPECT_TRUE((affine.gamma == Eigen::Array3f(1, 1, 1)).all());
  EXPECT_TRUE((affine.beta == Eigen::Array3f(0, 0, 0)).all());
}

TEST(AffineParameters, KeepsNoStorageForWhatIsOff) {
  const bn::AffineParameters<float> no_scale(3, false, true), no_shift(3, true, false), neither;
  EXPECT_EQ(no_scale.gamma.size(), 0);
  EXPECT_EQ(no_scale.beta.size(), 3);
  EXPECT_EQ(no_shift.gamma.size(), 3);
  EXPECT_EQ(no_shift.beta.size(), 0);
  EXPECT_EQ(neither.gamma.size(), 0);
  EXPECT_EQ(neither.beta.size(), 0);
}

TEST(Gradients, StartAtZeroAndGoBackToIt) {
  bn::Gradients<double> gradients(2);
  EXPECT_TRUE((gradients.gamma == 0).all() && (gradients.beta == 0).all());
  gradients.gamma << 1, 2;
  gradients.beta << 3, 4;
  gradients.zero();
  EXPECT_EQ(gradients.gamma.size(), 2);
  EXPECT_EQ(gradients.beta.size(), 2);
  EXPECT_TRUE((gradients.gamma == 0).all() && (gradients.beta == 0).all());
}

TEST(Gradients, KeepNoStorageForWhatIsOff) {
  const bn::Gradients<double> no_scale(3, false, true), no_shift(3, true, false);
  EXPECT_EQ(no_scale.gamma.size(), 0);
  EXPECT_EQ(no_scale.beta.size(), 3);
  EXPECT_EQ(no_shift.gamma.size(), 3);
  EXPECT_EQ(no_shift.beta.size(), 0);
}

TEST(Affine, OfANegativeNumberOfChannelsIsRefused) {
  using testing_support::has_parts, testing_support::message_of;
  EXPECT_TRUE(has_parts(message_of([] { bn::AffineParameters<float>(-1); }), "AffineParameters(channels)", "got -1"));
  EXPECT_TRUE(has_parts(message_of([] { bn::Gradients<float>(-1); }), "Gradients(channels)", "got -1"));
}

}  // namespace parameters_test
