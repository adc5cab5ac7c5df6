// expect: batchnorm: Scalar is the type of the parameters: .* half and bfloat16 tensors go with float
#include <batchnorm/batchnorm.hpp>

const batchnorm::AffineParameters<Eigen::half> affine(3);
