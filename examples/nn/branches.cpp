#include "nn/branches.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace nn {

template <class Scalar>
Branches<Scalar>::Branches(std::vector<Sequential<Scalar>> branches)
    : branches_(std::move(branches)), gradients_(branches_.size()) {
  assert(!branches_.empty());
}

template <class Scalar>
void Branches<Scalar>::forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) {
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

template <class Scalar>
void Branches<Scalar>::backward(const Matrix<Scalar>& x, const Matrix<Scalar>&, const Matrix<Scalar>& dy,
                                Matrix<Scalar>* dx) {
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

template <class Scalar>
void Branches<Scalar>::for_each_parameter(const ParameterVisitor<Scalar>& visit) {
  for (auto& branch : branches_) branch.for_each_parameter(visit);
}

template <class Scalar>
void Branches<Scalar>::for_each_statistics(const StatisticsVisitor<Scalar>& visit) {
  for (auto& branch : branches_) branch.for_each_statistics(visit);
}

template <class Scalar>
void Branches<Scalar>::for_each_layer(const std::string& place, const LayerVisitor<Scalar>& visit) {
  for (std::size_t i = 0; i < branches_.size(); ++i) {
    branches_[i].for_each_layer(visit, place + "." + std::to_string(i) + ".");
  }
}

template <class Scalar>
bool Branches<Scalar>::is_finite() {
  return std::ranges::all_of(branches_, [](auto& branch) { return branch.is_finite(); });
}

template <class Scalar>
void Branches<Scalar>::initialize(Normal& normal, const Deviation& deviation) {
  for (auto& branch : branches_) branch.initialize(normal, deviation);
}

template <class Scalar>
void Branches<Scalar>::set_mode(bn::Mode mode) {
  for (auto& branch : branches_) branch.set_mode(mode);
}

template <class Scalar>
void Branches<Scalar>::set_across(const bn::Reducer* ranks) {
  for (auto& branch : branches_) branch.set_across(ranks);
}

template class Branches<float>;
template class Branches<double>;

}  // namespace nn
