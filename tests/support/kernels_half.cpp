#include "support/kernels.hpp"

namespace batchnorm {
inline namespace BATCHNORM_ABI {
namespace detail {

BATCHNORM_TEST_HALF()

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
