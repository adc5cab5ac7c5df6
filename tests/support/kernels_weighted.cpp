#include "support/kernels.hpp"

namespace batchnorm {
inline namespace BATCHNORM_ABI {
namespace detail {

BATCHNORM_TEST_WEIGHTED()

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
