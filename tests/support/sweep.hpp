/// \file
/// A function of one variable over all magnitudes, and how far it is from its value.
#pragma once

#include <cmath>
#include <limits>
#include <vector>

#include "values.hpp"

namespace testing_support {

/// Both signs of magnitudes from the least denormal to 2^10, sixty-four to an octave, and of steps of 1/512 from 0 to
/// 20.
template <class Scalar>
std::vector<Scalar> sweep() {
  std::vector<Scalar> values;
  const auto add = [&](Scalar magnitude) {
    values.push_back(magnitude);
    values.push_back(-magnitude);
  };
  const int lowest = std::numeric_limits<Scalar>::min_exponent - std::numeric_limits<Scalar>::digits;
  for (int octave = lowest; octave < 10; ++octave) {
    for (int step = 0; step < 64; ++step) add(static_cast<Scalar>(std::exp2(octave + step / 64.0)));
  }
  for (int step = 0; step <= 20 * 512; ++step) add(static_cast<Scalar>(step / 512.0));
  return values;
}

/// |actual - reference| / |reference| in units of Scalar's epsilon. One of them is an ulp of a number just above a
/// power of two, and two ulp of one just below.
template <class Scalar>
double relative_epsilons(Scalar actual, Real reference) {
  return static_cast<double>(std::abs((Real(actual) - reference) / reference) /
                             Real(std::numeric_limits<Scalar>::epsilon()));
}

}  // namespace testing_support
