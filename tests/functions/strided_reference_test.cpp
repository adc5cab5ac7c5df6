#include "support/against_reference.hpp"
#include "support/kernels.hpp"

namespace testing_support::strided_reference_test {

using batchnorm::samples_in_columns;
using batchnorm::samples_in_rows;

using Blocks = testing::Types<Arrangement<BlockOfMatrix<float, Eigen::RowMajor>, samples_in_rows, 1>,
                              Arrangement<BlockOfMatrix<float, Eigen::ColMajor>, samples_in_rows, 1>,
                              Arrangement<RefToBlock<double, Eigen::ColMajor>, samples_in_columns, 0>,
                              Arrangement<TransposedMatrix<float, Eigen::ColMajor>, samples_in_rows, 1>,
                              Arrangement<MappedMatrix<float, Eigen::RowMajor>, batchnorm::channel_axis<1>, 1>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Blocks, AgainstReference, Blocks);

}  // namespace testing_support::strided_reference_test
