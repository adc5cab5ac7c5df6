#include "support/against_reference.hpp"
#include "support/kernels.hpp"

namespace testing_support::matrix_reference_test {

using batchnorm::samples_in_columns;
using batchnorm::samples_in_rows;

using Matrices = testing::Types<Arrangement<OwnedMatrix<float, Eigen::RowMajor>, samples_in_rows, 1>,
                                Arrangement<OwnedMatrix<float, Eigen::ColMajor>, samples_in_rows, 1>,
                                Arrangement<OwnedArray<double, Eigen::RowMajor>, samples_in_columns, 0>,
                                Arrangement<OwnedMatrix<double, Eigen::ColMajor>, samples_in_columns, 0>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Matrices, AgainstReference, Matrices);

}  // namespace testing_support::matrix_reference_test
