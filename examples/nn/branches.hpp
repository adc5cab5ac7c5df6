#pragma once

#include <algorithm>
#include <cassert>
#include <utility>
#include <vector>

#include "nn/sequential.hpp"

namespace nn {

/// Several models side by side on the same input, their outputs put together by channels: the module of an Inception
/// network.
///
/// Shapes: all branches make images of the same rows and columns.
///
/// Unlike the model around it, it keeps the activations inside its branches itself, those of the last forward.
template <class Scalar>
class Branches final : public Layer<Scalar> {
 public:
  explicit Branches(std::vector<Sequential<Scalar>> branches)
      : branches_(std::move(branches)), gradients_(branches_.size()) {
    assert(!branches_.empty());
  }

  void forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) override {
    Eigen::Index width = 0;
    for (auto& branch : branches_) width += branch.forward(x).cols();
    y.resize(branches_.front().output().rows(), width);
    Eigen::Index column = 0;
    for (const auto& branch : branches_) {
      const Matrix<Scalar>& part = branch.output();
      y.middleCols(column, part.cols()) = part;
      column += part.cols();
    }
  }

  void backward(const Matrix<Scalar>& x, const Matrix<Scalar>&, const Matrix<Scalar>& dy, Matrix<Scalar>* dx) override {
    Eigen::Index column = 0;
    for (std::size_t i = 0; i < branches_.size(); ++i) {
      const Eigen::Index width = branches_[i].output().cols();
      gradients_[i] = dy.middleCols(column, width);
      column += width;
      const bool first = i == 0;
      branches_[i].backward(x, gradients_[i], !dx ? nullptr : first ? dx : &part_);
      if (dx && !first) *dx += part_;
    }
  }

  void for_each_parameter(const ParameterVisitor<Scalar>& visit) override {
    for (auto& branch : branches_) branch.for_each_parameter(visit);
  }

  void for_each_statistics(const StatisticsVisitor<Scalar>& visit) override {
    for (auto& branch : branches_) branch.for_each_statistics(visit);
  }

  bool is_finite() override {
    return std::ranges::all_of(branches_, [](auto& branch) { return branch.is_finite(); });
  }

  void initialize(Normal& normal, const Deviation& deviation) override {
    for (auto& branch : branches_) branch.initialize(normal, deviation);
  }

  void set_mode(bn::Mode mode) override {
    for (auto& branch : branches_) branch.set_mode(mode);
  }

 private:
  std::vector<Sequential<Scalar>> branches_;
  std::vector<Matrix<Scalar>> gradients_;
  Matrix<Scalar> part_;
};

}  // namespace nn
