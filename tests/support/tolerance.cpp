#include "tolerance.hpp"

namespace testing_support {

Real forward_error(const Values& y, const Values& reference) {
  return ((y - reference).abs() / reference.abs().max(Real(1))).maxCoeff();
}

Real gradient_error(const Values& dx, const Values& reference) {
  return (dx - reference).abs().maxCoeff() / reference.abs().maxCoeff();
}

}  // namespace testing_support
