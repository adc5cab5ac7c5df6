#include "support/kernels.hpp"

namespace batchnorm {
inline namespace BATCHNORM_ABI {
namespace detail {

BATCHNORM_TEST_DOUBLE()

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
