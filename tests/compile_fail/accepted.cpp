// What the other files of this folder are refused for, done right: all of this compiles.
#include <unsupported/Eigen/CXX11/Tensor>

#include <batchnorm/batchnorm.hpp>

namespace bn = batchnorm;
using Tensor4 = Eigen::Tensor<float, 4>;

void accepted(bn::BatchNorm<float>& rows, bn::BatchNorm<float, bn::channel_first>& first,
              const Eigen::DefaultDevice& device, const Eigen::MatrixXf& x, const Eigen::VectorXf& v,
              Eigen::MatrixXf& y, const Tensor4& t, Tensor4& u) {
  rows.forward(x, y);
  rows.forward(x.middleRows(0, 4), y.middleRows(0, 4));
  rows.forward((x + x).eval(), y);
  rows.infer(v.reshaped(1, v.size()), y);
  rows.forward(device, x, y);
  first.forward(t, u);
  first.forward(device, t, u);
  // Temporary views of memory that lives on.
  rows.forward(x, Eigen::Map<Eigen::MatrixXf>(y.data(), y.rows(), y.cols()));
  rows.forward(x, Eigen::Ref<Eigen::MatrixXf>(y));
  rows.forward(x.leftCols(3), y.leftCols(3));
  rows.infer(x.array(), y.array());
  first.forward(t, Eigen::TensorMap<Tensor4>(u.data(), u.dimensions()));
}
