#include <gtest/gtest.h>

#include <batchnorm/core/options.hpp>
#include <sstream>
#include <stdexcept>
#include <string>

namespace options_test {

namespace bn = batchnorm;

std::string printed(const bn::Mode& mode) {
  std::ostringstream out;
  out << mode;
  return out.str();
}

TEST(Mode, IsThreeSwitches) {
  using enum bn::StatisticsSource;
  EXPECT_EQ(bn::Mode::training, (bn::Mode{batch, true, true}));
  EXPECT_EQ(bn::Mode::inference, (bn::Mode{running, false, false}));
  EXPECT_EQ(bn::Mode::frozen, (bn::Mode{running, false, true}));
  EXPECT_EQ(bn::Mode::probe, (bn::Mode{batch, false, false}));
  EXPECT_EQ(bn::Mode::recompute, (bn::Mode{batch, false, true}));
  EXPECT_NE(bn::Mode::training, bn::Mode::probe);
}

TEST(Mode, PrintsItsNameOrItsSwitches) {
  EXPECT_EQ(printed(bn::Mode::training), "training");
  EXPECT_EQ(printed(bn::Mode::inference), "inference");
  EXPECT_EQ(printed(bn::Mode::frozen), "frozen");
  EXPECT_EQ(printed(bn::Mode::probe), "probe");
  EXPECT_EQ(printed(bn::Mode::recompute), "recompute");
  const std::string other = printed({bn::StatisticsSource::batch, true, false});
  EXPECT_NE(other.find("batch"), std::string::npos);
  EXPECT_NE(other.find("without parameter gradients"), std::string::npos);
}

TEST(Options, RefuseAnEpsilonWhoseInverseRootIsNoNumberOfTheLayer) {
  bn::Options options{.channels = 1, .epsilon = 1e-80};
  EXPECT_THROW((void)bn::detail::checked<float>(options), std::invalid_argument);
  EXPECT_NO_THROW((void)bn::detail::checked<double>(options));
  options.epsilon = 1e-76;
  EXPECT_NO_THROW((void)bn::detail::checked<float>(options));
}

}  // namespace options_test
