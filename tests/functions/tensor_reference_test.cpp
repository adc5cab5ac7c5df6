#include "support/against_reference.hpp"
#include "support/kernels.hpp"

namespace testing_support::tensor_reference_test {

using batchnorm::channel_axis;
using batchnorm::channel_first;
using batchnorm::channel_last;

using Tensors = testing::Types<Arrangement<OwnedTensor<float, 4, Eigen::RowMajor>, channel_first, 1>,
                               Arrangement<OwnedTensor<float, 4, Eigen::RowMajor>, channel_last, 3>,
                               Arrangement<OwnedTensor<double, 4, Eigen::ColMajor>, channel_first, 1>,
                               Arrangement<MappedTensor<double, 4, Eigen::RowMajor>, channel_axis<2>, 2>,
                               Arrangement<MappedTensor<float, 4, Eigen::ColMajor>, channel_axis<0>, 0>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Tensors, AgainstReference, Tensors);

}  // namespace testing_support::tensor_reference_test
