// expect: batchnorm: Scalar is the type of parameters and statistics: use BatchNorm<float>
#include <batchnorm/batchnorm.hpp>

batchnorm::BatchNorm<Eigen::half> norm({.channels = 3});
