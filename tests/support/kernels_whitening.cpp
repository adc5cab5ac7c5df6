#include "support/kernels_whitening.hpp"

namespace batchnorm {
inline namespace BATCHNORM_ABI {
namespace detail {

BATCHNORM_TEST_WHITENING()

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
