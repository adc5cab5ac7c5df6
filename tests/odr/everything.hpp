// What both units include: the whole library, and a function of one unit that takes a layer of the other.
#pragma once

#include <batchnorm/batchnorm.hpp>

namespace bn = batchnorm;

int use_layer(bn::BatchNorm<float>& layer);
