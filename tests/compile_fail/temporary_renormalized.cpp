// expect: batchnorm: an output is a temporary
#include <batchnorm/layers/batch_renorm.hpp>

void refused(batchnorm::BatchRenorm<float>& norm, const Eigen::MatrixXf& x) { norm.forward(x, Eigen::MatrixXf()); }
