#include "support/against_reference.hpp"
#include "support/kernels.hpp"

namespace testing_support::tensor_rank_reference_test {

using batchnorm::channel_axis;
using batchnorm::channel_first;
using batchnorm::channel_last;

using Ranks = testing::Types<Arrangement<OwnedTensor<float, 2, Eigen::RowMajor>, batchnorm::samples_in_rows, 1>,
                             Arrangement<MappedTensor<double, 3, Eigen::ColMajor>, channel_last, 2>,
                             Arrangement<OwnedTensor<float, 5, Eigen::RowMajor>, channel_first, 1>,
                             Arrangement<OwnedTensor<double, 5, Eigen::ColMajor>, channel_axis<3>, 3>,
                             Arrangement<FixedTensor<float, Eigen::RowMajor, 2, 3, 5, 7>, channel_first, 1>,
                             Arrangement<FixedTensor<double, Eigen::ColMajor, 4, 19, 3>, channel_axis<1>, 1>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Ranks, AgainstReference, Ranks);

}  // namespace testing_support::tensor_rank_reference_test
