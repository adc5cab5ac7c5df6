// expect: batchnorm: channel_slice is for tensors: of a matrix take a block
#include <batchnorm/batchnorm.hpp>

void refused(const Eigen::MatrixXf& x) { batchnorm::channel_slice<batchnorm::samples_in_rows>(x, 0, 2); }
