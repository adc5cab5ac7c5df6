// expect: batchnorm: Scalar is the type of the parameters: use BatchNorm<float> or BatchNorm<double>
#include <batchnorm/batchnorm.hpp>

using Matrix = Eigen::Matrix<long double, Eigen::Dynamic, Eigen::Dynamic>;

void refused(batchnorm::BatchNorm<long double>& norm, const Matrix& x, Matrix& y) { norm.forward(x, y); }
