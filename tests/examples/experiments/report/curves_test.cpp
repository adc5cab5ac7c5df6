#include "experiments/report/curves.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "experiments/report/text.hpp"

namespace curves_test {

using report::accuracy_axis_begin;
using report::Curve;

Curve curve(const std::vector<double>& values, const std::string& ending = {}) {
  return {2, "with BN", {"black", "lw 2"}, values, ending};
}

TEST(Curves, EndingSaysHowManyDivergedOrWhen) {
  EXPECT_EQ(report::ending_of({report::none, report::none}), "");
  EXPECT_EQ(report::ending_of({1'234}), ", diverged at step 1,234");
  EXPECT_EQ(report::ending_of({report::none, 3, report::none}), ", 1 of 3 diverged");
}

TEST(Curves, AreNamedInTheKeyIfTheyAreDrawn) {
  Curve other = curve({0.2, 0.3});
  other.column = 3;
  EXPECT_EQ(report::plot_of("a.csv", {curve({0.1, 0.5}), other}),
            "'a.csv' using 1:2 with lines lw 2 lc 'black' title 'with BN', 'a.csv' using 1:3 with lines lw 2 lc "
            "'black' title 'with BN'");
  EXPECT_EQ(report::plot_of("a.csv", {curve({}), curve({report::none})}), "") << "after Ctrl-C";
}

TEST(Curves, OfASingleValueAreAPoint) {
  EXPECT_EQ(report::plot_of("a.csv", {curve({0.1, report::none})}),
            "'a.csv' using 1:2 with points pt 7 lw 2 lc 'black' title 'with BN'");
}

Curve curve_of_seeds(const std::vector<double>& means, const std::vector<double>& deviations) {
  Curve result = curve(means);
  result.deviation_column = 7;
  result.deviations = deviations;
  return result;
}

const std::string band =
    "'a.csv' using 1:($2-$7):($2+$7) with filledcurves fc 'black' fs transparent solid 0.2 noborder notitle";

TEST(Curves, OfSeveralSeedsLieOnBandsThatTheKeyDoesNotName) {
  EXPECT_EQ(report::band_of("a.csv", 2, 7, "black"), band);
  const Curve some = curve_of_seeds({0.1, 0.5}, {0.01, 0.02});
  EXPECT_EQ(report::plot_of("a.csv", {some, some}),
            band + ", " + band +
                ", 'a.csv' using 1:2 with lines lw 2 lc 'black' title 'with BN'"
                ", 'a.csv' using 1:2 with lines lw 2 lc 'black' title 'with BN'")
      << "no band hides a curve";
}

TEST(Curves, WithoutDeviationsHaveNoBand) {
  const std::string line = "'a.csv' using 1:2 with lines lw 2 lc 'black' title 'with BN'";
  EXPECT_EQ(report::plot_of("a.csv", {curve_of_seeds({0.1, 0.5}, {report::none, report::none})}), line) << "one seed";
  EXPECT_EQ(report::plot_of("a.csv", {curve_of_seeds({0.1, 0.5}, {0.01, report::none})}), line)
      << "a band between one place and itself would not be seen";
}

TEST(Curves, OfASingleValueOfSeveralSeedsAreAPointWithABar) {
  EXPECT_EQ(report::plot_of("a.csv", {curve_of_seeds({0.1}, {0.01})}),
            "'a.csv' using 1:2:7 with yerrorbars pt 7 lw 2 lc 'black' title 'with BN'");
}

TEST(Curves, AreToldApartByColorOrDashes) {
  std::set<std::pair<std::string, std::string>> looks;
  for (std::size_t i = 0; i < 5; ++i) looks.emplace(report::look(i, true).color, report::look(i, true).line);
  for (std::size_t i = 0; i < 2; ++i) looks.emplace(report::look(i, false).color, report::look(i, false).line);
  EXPECT_EQ(looks.size(), 7U);
  EXPECT_EQ(report::look(5, true).color, report::look(0, true).color) << "then they begin again";
}

TEST(Curves, TitlesNameTheSeeds) {
  EXPECT_EQ(report::of_seeds({3}), "seed 3");
  EXPECT_EQ(report::of_seeds({0, 2}), "mean and standard deviation of seeds 0, 2");
  EXPECT_EQ(report::of_seeds({0, 2}, "mean"), "mean of seeds 0, 2");
  EXPECT_EQ(report::of_seeds(std::vector<std::uint64_t>(11), "mean"), "mean of 11 seeds") << "too many for a title";
}

TEST(Curves, ThatDivergedSaySoInTheKeyWhetherThereIsALineOrNot) {
  EXPECT_EQ(report::plot_of("a.csv", {curve({0.1, 0.2, report::diverged}, ", 1 of 2 diverged")}),
            "'a.csv' using 1:2 with lines lw 2 lc 'black' title 'with BN, 1 of 2 diverged'");
  EXPECT_EQ(report::plot_of("a.csv", {curve({report::diverged}, ", diverged at step 3")}),
            "NaN with lines lw 2 lc 'black' title 'with BN, diverged at step 3'");
}

TEST(Curves, AxisShowsWhereGoodNetworksDifferAsLongAsThatHidesNoCurve) {
  const Curve good = curve({0.3, 0.8, 0.93, 0.95}), late = curve({0.1, 0.1, 0.72, 0.95});
  EXPECT_EQ(accuracy_axis_begin({good, late}, 0.7), 0.7) << "both are seen when they come so far, as in the paper";
  EXPECT_EQ(accuracy_axis_begin({good, late}, 0.8), 0.7);
  EXPECT_EQ(accuracy_axis_begin({good}, 0.9), 0.9);
  EXPECT_EQ(accuracy_axis_begin({}, 0.7), 0.7);
}

TEST(Curves, AxisBeginsBelowTheLaterHalfOfEveryCurve) {
  EXPECT_EQ(accuracy_axis_begin({curve({0.3, 0.8, 0.9}), curve({0.1, 0.35, 0.5})}, 0.7), 0.3);
  EXPECT_EQ(accuracy_axis_begin({curve({0.9, 0.9}), curve({0.1135, 0.1135})}, 0.7), 0.1);
  EXPECT_EQ(accuracy_axis_begin({curve({0.9, 0.9}), curve({0.098, 0.098})}, 0.7), 0);
  EXPECT_EQ(accuracy_axis_begin({curve({0})}, 0.7), 0);
  EXPECT_EQ(accuracy_axis_begin({curve({0.2})}, 0.7), 0.1) << "below it, not at it";
  EXPECT_EQ(accuracy_axis_begin({curve({0.2, 0.25, report::diverged, report::diverged})}, 0.7), 0.2)
      << "of the values that there are";
  EXPECT_EQ(report::accuracy_axis(0.7), "set ylabel 'test accuracy'\nset key below height 0.6\nset yrange [0.7:1]\n");
}

}  // namespace curves_test
