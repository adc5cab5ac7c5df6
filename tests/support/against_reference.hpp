/// \file
/// The public functions against the naive reference, written once for every arrangement of memory. A test file gives a
/// list of Arrangements and instantiates AgainstReference for it.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "problem.hpp"
#include "shapes.hpp"

namespace testing_support {

/// The shapes for an arrangement, as its tensors are written.
template <class A>
std::vector<Extents<A::rank>> shapes_of() {
  if constexpr (requires { A::Container::extents; }) {
    return {A::Container::extents};
  } else if constexpr (A::rank == 2) {
    auto shapes = matrix_shapes<typename A::Scalar>();
    for (auto& shape : shapes) shape = with_channels_on(A::axis, shape);
    return shapes;
  } else if constexpr (A::rank == 4) {
    auto shapes = image_shapes<typename A::Scalar>();
    for (auto& shape : shapes) shape = with_channels_on(A::axis, shape);
    return shapes;
  } else if constexpr (A::rank == 3) {
    return {with_channels_on<3>(A::axis, {2, 3, 5}), with_channels_on<3>(A::axis, {7, 19, 3})};
  } else {
    return {with_channels_on<5>(A::axis, {2, 3, 5, 1, 7}), with_channels_on<5>(A::axis, {3, 5, 2, 7, 4})};
  }
}

/// Runs body(problem) for every shape of A, and says which shape failed.
template <class A, class Body>
void for_each_problem(const Body& body) {
  Random random(7);
  for (const auto& extents : shapes_of<A>()) {
    SCOPED_TRACE(testing::Message() << "extents " << testing::PrintToString(extents) << ", channels on axis "
                                    << A::axis);
    Problem<A> problem(extents, random);
    body(problem);
    if (testing::Test::HasFailure()) return;
  }
}

template <class A>
class AgainstReference : public testing::Test {};

TYPED_TEST_SUITE_P(AgainstReference);

TYPED_TEST_P(AgainstReference, TrainingForwardAndBackward) {
  for_each_problem<TypeParam>([](auto& problem) { expect_training(problem); });
}

TYPED_TEST_P(AgainstReference, RunningStatisticsForwardAndBackward) {
  for_each_problem<TypeParam>([](auto& problem) { expect_running_statistics(problem); });
}

REGISTER_TYPED_TEST_SUITE_P(AgainstReference, TrainingForwardAndBackward, RunningStatisticsForwardAndBackward);

}  // namespace testing_support
