#include <batchnorm/batchnorm.hpp>

double mean_of_nothing() { return batchnorm::RunningStatistics(2).mean[1]; }
