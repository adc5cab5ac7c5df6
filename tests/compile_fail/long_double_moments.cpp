// expect: batchnorm: the element type does not go with that of the parameters
#include <batchnorm/batchnorm.hpp>

using Matrix = Eigen::Matrix<long double, Eigen::Dynamic, Eigen::Dynamic>;

void refused(const Matrix& x, batchnorm::Moments& moments) { batchnorm::batch_moments(x, moments); }
