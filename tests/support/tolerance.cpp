#include "tolerance.hpp"

namespace testing_support {

Real forward_error(const Values& y, const Values& reference) {
  return max_abs((y - reference) / reference.abs().max(Real(1)));
}

Real gradient_error(const Values& dx, const Values& reference) {
  return max_abs(dx - reference) / reference.abs().maxCoeff();
}

}  // namespace testing_support
