// expect: batchnorm: a bare number is no averaging.*write exponential[(]0.1[)].*or exponential_decay[(]0.9[)]
#include <batchnorm/batchnorm.hpp>

const batchnorm::BatchNorm<float> norm({.channels = 2, .averaging = 0.1});
