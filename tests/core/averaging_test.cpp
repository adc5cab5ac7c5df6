#include <gtest/gtest.h>

#include <batchnorm/core/averaging.hpp>
#include <limits>
#include <sstream>

#include "support/throws.hpp"

namespace averaging_test {

namespace bn = batchnorm;
using testing_support::has_parts;
using testing_support::message_of;

std::string printed(const bn::Averaging& averaging) {
  std::ostringstream out;
  out << averaging;
  return out.str();
}

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

TEST(Averaging, ExponentialGivesEveryBatchItsWeight) {
  EXPECT_EQ(bn::exponential(0.25).weight(0), 0.25);
  EXPECT_EQ(bn::exponential(0.25).weight(1000), 0.25);
}

TEST(Averaging, ExponentialDecayIsTheWeightOfTheOldValue) {
  EXPECT_EQ(bn::exponential_decay(0.75).weight(0), 0.25);
  EXPECT_EQ(bn::exponential_decay(0.75), bn::exponential(0.25));
  EXPECT_EQ(bn::exponential_decay(0.0), bn::exponential(1.0));
}

TEST(Averaging, CumulativeGivesTheKthBatchOneKth) {
  EXPECT_EQ(bn::cumulative().weight(0), 1.0);
  EXPECT_EQ(bn::cumulative().weight(1), 0.5);
  EXPECT_EQ(bn::cumulative().weight(3), 0.25);
}

TEST(Averaging, CumulativeOverAWindowStopsAtTheWeightOfItsEnd) {
  const bn::Averaging averaging = bn::cumulative(3);
  EXPECT_EQ(averaging.weight(0), 1.0);
  EXPECT_EQ(averaging.weight(1), 0.5);
  EXPECT_EQ(averaging.weight(2), 1.0 / 3);
  EXPECT_EQ(averaging.weight(3), 0.25);
  EXPECT_EQ(averaging.weight(4), 0.25);
  EXPECT_EQ(averaging.weight(1000000), 0.25);
}

TEST(Averaging, ADebiasedDecayGivesTheFirstBatchAllAndTheLastWhatADecayGives) {
  EXPECT_EQ(bn::debiased_decay(0.75).weight(0), 1.0);
  EXPECT_EQ(bn::debiased_decay(0.75).weight(1), 0.25 / (1 - 0.75 * 0.75));
  EXPECT_EQ(bn::debiased_decay(0.75).weight(1000000), 0.25);
  EXPECT_EQ(bn::debiased_decay(0.0), bn::exponential(1.0));
}

// A sum of old_weight^(k - j) over the batches j, updated as it grows. It forgets its roundings within about 1000
// batches: 2000 half epsilons, 2.2e-13, at most. The power errs by 1.1e-16, which beside 1 - 0.999^2 is 5.5e-14.
TEST(Averaging, ADebiasedDecayIsTheReciprocalOfItsSumOfWeights) {
  double sum = 0;
  for (int batches = 0; batches < 5000; ++batches) {
    sum = 0.999 * sum + 1;
    EXPECT_NEAR(bn::debiased_decay(0.999).weight(batches) * sum, 1, 3e-13);
  }
}

TEST(Averaging, NoneGivesNothing) {
  EXPECT_EQ(bn::none().weight(0), 0.0);
  EXPECT_EQ(bn::none().weight(7), 0.0);
}

TEST(Averaging, RefusesWeightsOutsideTheirInterval) {
  for (const double weight : {0.0, -0.1, 1.1, not_a_number, infinity}) {
    EXPECT_TRUE(has_parts(message_of([&] { (void)bn::exponential(weight); }), "exponential(new_batch_weight)", "(0, 1]",
                          "got "));
  }
  for (const double weight : {1.0, -0.1, 1.1, not_a_number, infinity}) {
    EXPECT_TRUE(has_parts(message_of([&] { (void)bn::exponential_decay(weight); }), "exponential_decay(old_weight)",
                          "[0, 1)", "got "));
    EXPECT_TRUE(has_parts(message_of([&] { (void)bn::debiased_decay(weight); }), "debiased_decay(old_weight)", "[0, 1)",
                          "got "));
  }
  EXPECT_EQ(message_of([] { (void)bn::exponential(1.5); }),
            "batchnorm: exponential(new_batch_weight): expected a weight in (0, 1], got 1.5");
}

TEST(Averaging, RefusesAWindowOfNoBatches) {
  EXPECT_EQ(message_of([] { (void)bn::cumulative(0); }),
            "batchnorm: cumulative(window): expected a window of at least 1 batch, got 0");
  EXPECT_TRUE(has_parts(message_of([] { (void)bn::cumulative(-3); }), "cumulative(window)", "got -3"));
}

TEST(Averaging, AWeightOfZeroIsSpelledNone) {
  EXPECT_EQ(message_of([] { (void)bn::exponential(0.0); }),
            "batchnorm: exponential(new_batch_weight): expected a weight in (0, 1], got 0; say none() for running "
            "statistics that stay as they are");
  EXPECT_EQ(message_of([] { (void)bn::exponential_decay(1.0); }),
            "batchnorm: exponential_decay(old_weight): expected a weight in [0, 1), got 1; say none() for running "
            "statistics that stay as they are");
}

TEST(Averaging, AreEqualIfTheyWeighEveryBatchAlike) {
  const bn::Averaging different[] = {bn::exponential(0.5),    bn::exponential(1.0),    bn::exponential_decay(0.75),
                                     bn::debiased_decay(0.5), bn::debiased_decay(0.9), bn::cumulative(),
                                     bn::cumulative(1),       bn::cumulative(100),     bn::none()};
  for (const auto& a : different) {
    for (const auto& b : different) EXPECT_EQ(a == b, &a == &b) << a << " and " << b;
  }
}

TEST(Averaging, AcceptsAWeightOfOne) { EXPECT_EQ(bn::exponential(1.0).weight(3), 1.0); }

TEST(Averaging, PrintsAsItWasMade) {
  EXPECT_EQ(printed(bn::exponential(0.1)), "exponential(0.1)");
  EXPECT_EQ(printed(bn::exponential_decay(0.99)), "exponential_decay(0.99)");
  EXPECT_EQ(printed(bn::debiased_decay(0.999)), "debiased_decay(0.999)");
  EXPECT_EQ(printed(bn::cumulative()), "cumulative()");
  EXPECT_EQ(printed(bn::cumulative(100)), "cumulative(100)");
  EXPECT_EQ(printed(bn::none()), "none()");
  EXPECT_EQ(printed(bn::exponential_decay(0.9999999)), "exponential_decay(0.9999999)");
  EXPECT_EQ(printed(bn::cumulative(1234567)), "cumulative(1234567)");
}

}  // namespace averaging_test
