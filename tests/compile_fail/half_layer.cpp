// expect: batchnorm: Scalar is the type of the parameters: use BatchNorm<float>
#include <batchnorm/batchnorm.hpp>

batchnorm::BatchNorm<Eigen::half> norm({.channels = 3});
