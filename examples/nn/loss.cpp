#include "nn/loss.hpp"

#include <cassert>
#include <cmath>
#include <cstddef>

namespace nn {

template <class Scalar>
Matrix<Scalar> softmax(const Matrix<Scalar>& logits) {
  Matrix<Scalar> result = (logits.colwise() - logits.rowwise().maxCoeff()).array().exp();
  result.array().colwise() /= result.rowwise().sum().array().eval();
  return result;
}

template <class Scalar>
Scalar softmax_cross_entropy(const Matrix<Scalar>& logits, Labels labels, Matrix<Scalar>& gradient) {
  assert(static_cast<Eigen::Index>(labels.size()) == logits.rows());
  const Scalar weight = Scalar(1) / static_cast<Scalar>(logits.rows());
  gradient.resizeLike(logits);
  Scalar loss = 0;
  for (Eigen::Index i = 0; i < logits.rows(); ++i) {
    const Eigen::Index label = labels[static_cast<std::size_t>(i)];
    auto row = gradient.row(i).array();
    row = logits.row(i).array() - logits.row(i).maxCoeff();
    const Scalar logit = row(label);
    row = row.exp();
    const Scalar sum = row.sum();
    loss += std::log(sum) - logit;
    row *= weight / sum;
    row(label) -= weight;
  }
  return loss * weight;
}

template <class Scalar>
Eigen::Index count_correct(const Matrix<Scalar>& logits, Labels labels) {
  assert(static_cast<Eigen::Index>(labels.size()) == logits.rows());
  Eigen::Index correct = 0;
  for (Eigen::Index i = 0; i < logits.rows(); ++i) {
    Eigen::Index best = 0;
    logits.row(i).maxCoeff(&best);
    if (best == labels[static_cast<std::size_t>(i)]) ++correct;
  }
  return correct;
}

template Matrix<float> softmax(const Matrix<float>&);
template Matrix<double> softmax(const Matrix<double>&);
template float softmax_cross_entropy(const Matrix<float>&, Labels, Matrix<float>&);
template double softmax_cross_entropy(const Matrix<double>&, Labels, Matrix<double>&);
template Eigen::Index count_correct(const Matrix<float>&, Labels);
template Eigen::Index count_correct(const Matrix<double>&, Labels);

}  // namespace nn
