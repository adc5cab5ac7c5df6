#include "experiments/report/curves.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "experiments/report/text.hpp"

namespace {

using report::accuracy_axis_begin;
using report::Curve;

Curve curve(const std::vector<double>& values, const std::string& ending = {}) {
  return {2, "with BN", "lw 2", values, ending};
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
            "'a.csv' using 1:2 with lines lw 2 title 'with BN', 'a.csv' using 1:3 with lines lw 2 title 'with BN'");
  EXPECT_EQ(report::plot_of("a.csv", {curve({}), curve({report::none})}), "") << "after Ctrl-C";
}

TEST(Curves, OfASingleValueAreAPoint) {
  EXPECT_EQ(report::plot_of("a.csv", {curve({0.1, report::none})}),
            "'a.csv' using 1:2 with points pt 7 lw 2 title 'with BN'");
}

TEST(Curves, ThatDivergedSaySoInTheKeyWhetherThereIsALineOrNot) {
  EXPECT_EQ(report::plot_of("a.csv", {curve({0.1, 0.2, report::diverged}, ", 1 of 2 diverged")}),
            "'a.csv' using 1:2 with lines lw 2 title 'with BN, 1 of 2 diverged'");
  EXPECT_EQ(report::plot_of("a.csv", {curve({report::diverged}, ", diverged at step 3")}),
            "NaN with lines lw 2 title 'with BN, diverged at step 3'");
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
  EXPECT_EQ(report::accuracy_axis(0.7), "set ylabel 'test accuracy'\nset key bottom right\nset yrange [0.7:1]\n");
}

}  // namespace
