// expect: batchnorm: options have names: write BatchNorm<float> norm\({.channels = 2}\)
#include <batchnorm/batchnorm.hpp>

batchnorm::BatchNorm<float> norm(2);
