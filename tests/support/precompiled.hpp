/// \file
/// What nearly every test includes, compiled once. With threads, as some tests have them.
#pragma once

#define EIGEN_USE_THREADS
#include <gtest/gtest.h>

#include <unsupported/Eigen/CXX11/Tensor>
