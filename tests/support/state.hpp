/// \file
/// Whether two layers remember the same, bit for bit: what a call that throws must not change, and what another way to
/// the same must bring about.
#pragma once

#include <gtest/gtest.h>

#include <batchnorm/core/saved.hpp>
#include <string>
#include <vector>

#include "compare.hpp"

namespace testing_support {

namespace state_detail {

/// Collects what differs, by name.
class Differences {
 public:
  template <class A, class B>
  void value(const std::string& name, const A& a, const B& b) {
    if (!(a == b)) text_ += "\n" + name + " differs";
  }
  template <class A, class B>
  void array(const std::string& name, const A& a, const B& b) {
    if (const auto same = equal_statistics(a, b); !same) text_ += "\n" + name + ": " + same.message();
  }
  template <class A, class B>
  void parameters(const std::string& name, const A& a, const B& b) {
    array(name + "gamma", a.gamma, b.gamma);
    array(name + "beta", a.beta, b.beta);
  }

  /// Of a forward pass, all but what is of the tensors.
  template <class Scalar>
  void constants(const std::string& name, const batchnorm::Saved<Scalar>& a, const batchnorm::Saved<Scalar>& b) {
    array(name + "statistics.mean", a.statistics.mean, b.statistics.mean);
    array(name + "statistics.inv_std", a.statistics.inv_std, b.statistics.inv_std);
    value(name + "statistics.count", a.statistics.count, b.statistics.count);
    parameters(name, a, b);
    array(name + "correction.r", a.correction.r, b.correction.r);
    array(name + "correction.d", a.correction.d, b.correction.d);
    value(name + "parameter_gradients", a.parameter_gradients, b.parameter_gradients);
    value(name + "activation", a.activation.name(), b.activation.name());
  }
  void tensors(const std::string& name, const batchnorm::detail::SavedTensors& a,
               const batchnorm::detail::SavedTensors& b) {
    value(name + "extents", a.extents, b.extents);
    value(name + "channel_axis", a.channel_axis, b.channel_axis);
    value(name + "x", a.x, b.x);
    value(name + "residual", a.residual, b.residual);
    value(name + "y", a.y, b.y);
    value(name + "weights", a.weights, b.weights);
    value(name + "count", a.count, b.count);
    value(name + "ranks", a.ranks, b.ranks);
  }
  template <class Scalar>
  void saved(const std::string& name, const batchnorm::Saved<Scalar>& a, const batchnorm::Saved<Scalar>& b) {
    constants(name + ".", a, b);
    tensors(name + ".tensors.", a.tensors, b.tensors);
  }
  /// Of ghost batches, in turn.
  template <class Scalar>
  void saved(const std::string& name, const std::vector<batchnorm::Saved<Scalar>>& a,
             const std::vector<batchnorm::Saved<Scalar>>& b) {
    value(name + ".size()", a.size(), b.size());
    for (std::size_t k = 0; k < std::min(a.size(), b.size()); ++k)
      saved(name + "[" + std::to_string(k) + "]", a[k], b[k]);
  }

  /// What the layers have learned and gathered.
  template <class A, class B>
  void numbers(const A& a, const B& b) {
    array("running().mean", a.running().mean, b.running().mean);
    array("running().variance", a.running().variance, b.running().variance);
    value("running().batches", a.running().batches, b.running().batches);
    value("running().skipped", a.running().skipped, b.running().skipped);
    array("moments().mean", a.moments().mean, b.moments().mean);
    array("moments().m2", a.moments().m2, b.moments().m2);
    value("moments().count", a.moments().count, b.moments().count);
    parameters("gradients().", a.gradients(), b.gradients());
    parameters("affine().", a.affine(), b.affine());
  }

  testing::AssertionResult result() const {
    return text_.empty() ? testing::AssertionSuccess() : testing::AssertionFailure() << text_;
  }

 private:
  std::string text_;
};

}  // namespace state_detail

/// What layers have learned and gathered. A BatchRenorm may be compared with a BatchNorm.
template <class A, class B>
testing::AssertionResult equal_numbers(const A& a, const B& b) {
  state_detail::Differences differences;
  differences.numbers(a, b);
  return differences.result();
}

/// All that a layer remembers: with what it needs of the last forward pass.
template <class A, class B>
testing::AssertionResult equal_state(const A& a, const B& b) {
  state_detail::Differences differences;
  differences.numbers(a, b);
  differences.saved("saved()", a.saved(), b.saved());
  return differences.result();
}

/// The same but for the tensors that they have seen: of layers that had a part of a batch each.
template <class Layer>
testing::AssertionResult equal_state_on_ranks(const Layer& a, const Layer& b) {
  state_detail::Differences differences;
  differences.numbers(a, b);
  differences.constants("saved().", a.saved(), b.saved());
  return differences.result();
}

}  // namespace testing_support
