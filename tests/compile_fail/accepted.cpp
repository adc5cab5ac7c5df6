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
  rows.forward(x, y, {.device = device});
  first.forward(t, u);
  first.forward(t, u, {.device = device});
  // Temporary views of memory that lives on.
  rows.forward(x, Eigen::Map<Eigen::MatrixXf>(y.data(), y.rows(), y.cols()));
  rows.forward(x, Eigen::Ref<Eigen::MatrixXf>(y));
  rows.forward(x.leftCols(3), y.leftCols(3));
  rows.infer(x.array(), y.array());
  first.forward(t, Eigen::TensorMap<Tensor4>(u.data(), u.dimensions()));
}

// Beside the declarations that only refuse, the right ones are never ambiguous.
template class bn::BatchNorm<float>;
template class bn::BatchNorm<double, bn::channel_last, bn::leaky_relu>;

void beside_refusals(const Eigen::DefaultDevice& device, bn::Saved<float>& saved, const bn::Saved<float>& kept,
                     const Eigen::MatrixXf& x, Eigen::Map<Eigen::MatrixXf>& y, Eigen::MatrixXf& z) {
  bn::BatchNorm<float> norm({.channels = 2}), moved(std::move(norm)), copy{moved}, named{bn::Options{.channels = 2}};
  copy.forward(x, y);
  copy.forward(z, y, {.saved = &saved});
  copy.forward(z, y, {.device = device, .saved = &saved});
  copy.backward(x, z, y);
  copy.backward(x, z, y, {.saved = &kept});
  copy.backward(z, z, z, {.device = device, .saved = &saved});
  copy.backward_from_output(y, z, z.middleRows(0, 4));
  copy.infer(z, y);
  copy.infer(y, y, {.device = device});
  z = std::as_const(copy).infer(z);

  bn::BatchNorm<float, bn::samples_in_rows, bn::add_relu> block({.channels = 2}, bn::add_relu{});
  block.forward(z, x, y);
  block.backward(z, z, x, y, z.middleRows(0, 4));
  block.infer(z, x, y, {.device = device});
}
