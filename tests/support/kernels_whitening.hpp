/// \file
/// The passes of whitening, compiled once: see kernels.hpp.
#pragma once

#include <batchnorm/whitening/whitening_norm.hpp>

#define BATCHNORM_TEST_WHITENING(Linkage)                                                                        \
  Linkage template void batch_covariance(const Device&, const SampleReader&, const Moments&,                     \
                                         std::vector<WhiteningGroup>&, CovarianceMoments&);                      \
  Linkage template void inverse_square_roots(const Device&, const GroupedMatrix&, std::vector<WhiteningGroup>&,  \
                                             GroupedMatrix&);                                                    \
  Linkage template void whiten(const Device&, const SampleReader&, const Eigen::VectorXd&, const GroupedMatrix&, \
                               const WhiteningAffine&, std::vector<WhiteningGroup>&, const SampleWriter&);       \
  Linkage template void whitening_backward(const Device&, const SampleReader&, const SampleReader&,              \
                                           const WhiteningPass&, std::vector<WhiteningGroup>&, Eigen::VectorXd&, \
                                           Eigen::VectorXd&, const SampleWriter&);

#ifndef BATCHNORM_TESTS_HAVE_KERNELS_OF_THEIR_OWN
namespace batchnorm {
inline namespace BATCHNORM_ABI {
namespace detail {

BATCHNORM_TEST_WHITENING(extern)

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
#endif
