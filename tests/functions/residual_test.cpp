// y = relu(bn(x) + residual) and its gradients: against the reference, over which memory, and what is refused.
#include <gtest/gtest.h>

#include <array>
#include <utility>

#include "support/kernels.hpp"
#include "support/problem.hpp"
#include "support/throws.hpp"

namespace testing_support::residual_test {

namespace bn = batchnorm;

constexpr bn::add_relu add_relu;

/// A problem with a residual, and its backward pass's second output.
template <class A>
struct ResidualProblem : Problem<A> {
  using Element = typename A::Scalar;
  using Scalar = bn::statistics_t<Element>;
  using L = typename A::Layout;
  using Container = typename A::Container;

  Values residual_values;
  Container residual, dresidual;

  ResidualProblem(const Extents<A::rank>& shape, Random& random)
      : Problem<A>(shape, random),
        residual_values(rounded_to<Element>(normal_values(this->count(), this->channels(), random))),
        residual(shape),
        dresidual(shape) {
    assign(residual_values, residual.view(), A::axis);
  }

  bn::Moments forward(auto&& from, auto&& added, auto&& to) const {
    bn::Moments moments;
    bn::train_forward<L, std::remove_cvref_t<decltype(add_relu)>>(from, added, this->affine, epsilon, to, moments,
                                                                  {.activation = add_relu});
    return moments;
  }
  bn::Gradients<Scalar> backward(const bn::Moments& moments, auto&& from, auto&& added, auto&& gradient, auto&& to,
                                 auto&& added_to) const {
    bn::Gradients<Scalar> gradients;
    bn::backward<L, std::remove_cvref_t<decltype(add_relu)>>(from, added, gradient, this->affine,
                                                             bn::statistics(moments, epsilon), to, added_to, gradients,
                                                             {.activation = add_relu});
    return gradients;
  }
};

template <class A>
void expect_the_reference(const Extents<A::rank>& extents) {
  using Element = typename A::Scalar;
  using Scalar = bn::statistics_t<Element>;
  using L = typename A::Layout;
  SCOPED_TRACE(testing::Message() << "extents " << testing::PrintToString(extents));
  Random random(41);
  ResidualProblem<A> p(extents, random);
  const Real allowance =
      std::numeric_limits<Element>::digits < 24 ? coarse_tolerance<Element>(p.count()) : tolerance<Element>();
  const auto moments = p.forward(p.x.view(), p.residual.view(), p.y.view());
  const auto forward = p.expected_forward();
  const Values z = forward.y + p.residual_values;
  const Values y = values_of(p.y.view(), A::axis);
  EXPECT_TRUE(close_add_relu<Element>(y, forward.y, p.residual_values, allowance));

  // The second half of it, and inference.
  bn::normalize<L>(p.x.view(), p.residual.view(), p.affine, bn::statistics(moments, epsilon), p.dx.view());
  EXPECT_TRUE(equal_bits(p.dx.view(), p.y.view()));
  bn::normalize<L, bn::add_relu>(p.x.view(), p.residual.view(), p.affine, bn::statistics(p.running, epsilon),
                                 p.dx.view(), {.activation = add_relu});
  EXPECT_TRUE(
      close_add_relu<Element>(values_of(p.dx.view(), A::axis), p.expected_inference().y, p.residual_values, allowance));

  // Within rounding of the kink either side is right: what forward said, y, is what backward must follow. A z that is
  // positive but fades to 0 as Element is stored has the gradient of a positive one.
  const auto gradients =
      p.backward(moments, p.x.view(), p.residual.view(), p.dy.view(), p.dx.view(), p.dresidual.view());
  const Values dz = values_of(p.dresidual.view(), A::axis);
  Index wrong = 0;
  for (Index c = 0; c < p.channels(); ++c) {
    for (Index i = 0; i < p.count(); ++i) wrong += dz(i, c) != (y(i, c) > 0 ? p.dy_values(i, c) : Real(0));
  }
  EXPECT_EQ(wrong, 0) << "values of dresidual that are not dy where y > 0 and 0 elsewhere";
  const auto backward = p.expected_backward(dz);
  EXPECT_TRUE(close_gradient<Element>(values_of(p.dx.view(), A::axis), backward, forward.inv_std, allowance));
  EXPECT_TRUE(close_sums<Scalar>(gradients.gamma, backward.dgamma, p.dy_values * forward.x_hat, allowance));
  EXPECT_TRUE(close_sums<Scalar>(gradients.beta, backward.dbeta, p.dy_values, allowance));
  p.expect_the_rest_untouched();
  EXPECT_TRUE(p.residual.untouched() && p.dresidual.untouched());
  EXPECT_TRUE(equal_bits(values_of(p.residual.view(), A::axis), p.residual_values));
}

template <class Element>
using Rows = Arrangement<OwnedMatrix<Element, Eigen::RowMajor>, bn::samples_in_rows, 1>;
using BlockOfRows = Arrangement<BlockOfMatrix<float, Eigen::RowMajor>, bn::samples_in_rows, 1>;
using Columns = Arrangement<BlockOfMatrix<double, Eigen::ColMajor>, bn::samples_in_rows, 1>;
template <class Element>
using Nchw = Arrangement<MappedTensor<Element, 4, Eigen::RowMajor>, bn::channel_first, 1>;

TEST(Residual, OfRowsIsTheReferenceThenTheSum) {
  for (const Index channels : {1, 3, 5, 16, 40, 511, 1027}) {
    expect_the_reference<Rows<float>>({67, channels});
    expect_the_reference<BlockOfRows>({67, channels});
  }
  expect_the_reference<Rows<Eigen::half>>({67, 40});
  expect_the_reference<Rows<Eigen::bfloat16>>({67, 40});
}

TEST(Residual, OfColumnsIsTheReferenceThenTheSum) {
  for (const Index samples : {3, 7, 33, 8193}) expect_the_reference<Columns>({samples, 5});
}

TEST(Residual, OfPlanesIsTheReferenceThenTheSum) {
  for (const Extents<4>& extents : {Extents<4>{2, 3, 29, 23}, {17, 40, 7, 7}, {600, 3, 2, 2}, {3, 2, 5, 1}})
    expect_the_reference<Nchw<float>>(extents);
  expect_the_reference<Nchw<Eigen::half>>({17, 10, 7, 7});
}

TEST(Residual, OfLargeTensorsIsStreamed) {
  expect_the_reference<Rows<float>>({450, 1000});
  expect_the_reference<Nchw<float>>({20, 450, 7, 7});
}

/// The tensors that a backward pass may write its results on, and others of its own.
enum Place : std::size_t { on_x, on_dy, on_residual, elsewhere };
constexpr const char* place_names[] = {"x", "dy", "residual", "memory of its own"};
constexpr std::pair<Place, Place> places_of_gradients[] = {
    {on_x, on_dy}, {on_x, on_residual}, {on_dy, on_residual}, {on_dy, on_x}, {on_residual, elsewhere}};

// In place or not, where the results are streamed or not: the same bits.
TEST(Residual, GivesTheSameBitsOverEveryMemoryThatIsAllowed) {
  const auto check = [](auto arrangement, const auto& extents) {
    using A = decltype(arrangement);
    using Container = typename A::Container;
    SCOPED_TRACE(testing::Message() << "extents " << testing::PrintToString(extents));
    Random random(43);
    ResidualProblem<A> p(extents, random);
    const auto moments = p.forward(p.x.view(), p.residual.view(), p.y.view());
    auto y_on_x = p.x, y_on_residual = p.residual;
    p.forward(y_on_x.view(), p.residual.view(), y_on_x.view());
    EXPECT_TRUE(equal_bits(y_on_x.view(), p.y.view())) << "y on x";
    p.forward(p.x.view(), y_on_residual.view(), y_on_residual.view());
    EXPECT_TRUE(equal_bits(y_on_residual.view(), p.y.view())) << "y on residual";
    using L = typename A::Layout;
    y_on_x = p.x;
    bn::normalize<L>(y_on_x.view(), p.residual.view(), p.affine, bn::statistics(moments, epsilon), y_on_x.view());
    EXPECT_TRUE(equal_bits(y_on_x.view(), p.y.view())) << "y of normalize on x";
    y_on_residual = p.residual;
    bn::normalize<L>(p.x.view(), y_on_residual.view(), p.affine, bn::statistics(moments, epsilon),
                     y_on_residual.view());
    EXPECT_TRUE(equal_bits(y_on_residual.view(), p.y.view())) << "y of normalize on residual";

    const auto gradients =
        p.backward(moments, p.x.view(), p.residual.view(), p.dy.view(), p.dx.view(), p.dresidual.view());
    for (const auto& [dx, dresidual] : places_of_gradients) {
      SCOPED_TRACE(testing::Message() << "dx on " << place_names[dx] << ", dresidual on " << place_names[dresidual]);
      std::array<Container, 4> memory{p.x, p.dy, p.residual, Container(extents)};
      const auto again = p.backward(moments, memory[on_x].view(), memory[on_residual].view(), memory[on_dy].view(),
                                    memory[dx].view(), memory[dresidual].view());
      EXPECT_TRUE(equal_bits(memory[dx].view(), p.dx.view()));
      EXPECT_TRUE(equal_bits(memory[dresidual].view(), p.dresidual.view()));
      EXPECT_TRUE(equal_statistics(again.gamma, gradients.gamma));
      EXPECT_TRUE(equal_statistics(again.beta, gradients.beta));
    }
  };
  for (const Extents<2>& extents : {Extents<2>{60, 100}, {67, 3}, {450, 1000}}) check(Rows<float>{}, extents);
  check(BlockOfRows{}, Extents<2>{67, 40});
  check(Columns{}, Extents<2>{33, 5});
  for (const Extents<4>& extents : {Extents<4>{2, 3, 29, 23}, {17, 40, 7, 7}, {20, 450, 7, 7}, {42, 100, 13, 13}})
    check(Nchw<float>{}, extents);
  check(Nchw<Eigen::half>{}, Extents<4>{17, 40, 7, 7});
}

TEST(Residual, RefusesADresidualThatMeetsDx) {
  Random random(47);
  ResidualProblem<Rows<float>> p({8, 4}, random);
  const auto moments = p.forward(p.x.view(), p.residual.view(), p.y.view());
  const auto call = [&](auto&& dx, auto&& dresidual) {
    return message_of([&] { p.backward(moments, p.x.view(), p.residual.view(), p.dy.view(), dx, dresidual); });
  };
  EXPECT_TRUE(
      has_parts(call(p.dx.view(), p.dx.view()), "backward(dresidual)", "apart from that of dx", "[8, 4] row-major"));
  EXPECT_TRUE(has_parts(call(p.dy.view(), p.dy.view()), "backward(dresidual)", "apart from that of dx"));
  Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> both(9, 4);
  EXPECT_TRUE(has_parts(call(both.topRows(8), both.bottomRows(8)), "backward(dresidual)", "apart from that of dx"));
  p.expect_the_rest_untouched();
}

TEST(Residual, RefusesOutputsThatOverlapAPartOfAnInput) {
  using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  Random random(53);
  const ResidualProblem<Rows<float>> p({8, 4}, random);
  Matrix memory = Matrix::Random(9, 4), before = memory, x = Matrix::Random(8, 4), dy = x, out;
  EXPECT_TRUE(has_parts(message_of([&] { p.forward(x, memory.topRows(8), memory.bottomRows(8)); }), "train_forward(y)",
                        "overlaps part of residual"));
  EXPECT_TRUE(has_parts(message_of([&] { p.forward(memory.topRows(8), x, memory.bottomRows(8)); }), "train_forward(y)",
                        "overlaps part of x"));
  const auto moments = p.forward(x, x, out);
  const auto normalize = [&](const auto& from, const auto& added, auto&& to) {
    return message_of([&] { bn::normalize(from, added, p.affine, bn::statistics(moments, epsilon), to); });
  };
  EXPECT_TRUE(has_parts(normalize(x, memory.topRows(8), memory.bottomRows(8)), "normalize(y)", "part of residual"));
  EXPECT_TRUE(has_parts(normalize(memory.topRows(8), x, memory.bottomRows(8)), "normalize(y)", "part of x"));
  EXPECT_TRUE(has_parts(message_of([&] { p.backward(moments, x, memory.topRows(8), dy, memory.bottomRows(8), out); }),
                        "backward(dx)", "overlaps part of residual"));
  EXPECT_TRUE(has_parts(message_of([&] { p.backward(moments, x, memory.topRows(8), dy, out, memory.bottomRows(8)); }),
                        "backward(dresidual)", "overlaps part of residual"));
  EXPECT_TRUE(has_parts(message_of([&] { p.backward(moments, x, x, memory.topRows(8), out, memory.bottomRows(8)); }),
                        "backward(dresidual)", "overlaps part of dy"));
  EXPECT_TRUE(equal_bits(memory, before));
}

TEST(Residual, RefusesOtherExtents) {
  using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  Random random(59);
  const ResidualProblem<Rows<float>> p({8, 4}, random);
  const Matrix x = Matrix::Random(8, 4), other = Matrix::Random(7, 4);
  Matrix y, dx, dresidual;
  EXPECT_TRUE(has_parts(message_of([&] { p.forward(x, other, y); }), "train_forward(residual)", "the extents of x",
                        "[8, 4]", "[7, 4]"));
  const auto moments = p.forward(x, x, y);
  EXPECT_TRUE(has_parts(message_of([&] { p.backward(moments, x, other, x, dx, dresidual); }), "backward(residual)",
                        "[8, 4]", "[7, 4]"));
  EXPECT_TRUE(has_parts(message_of([&] { bn::normalize(x, other, p.affine, bn::statistics(moments, epsilon), y); }),
                        "normalize(residual)", "[8, 4]", "[7, 4]"));
  dresidual = other;
  EXPECT_TRUE(has_parts(message_of([&] { p.backward(moments, x, x, x, dx, dresidual); }), "backward(dresidual)",
                        "[8, 4]", "[7, 4]", "dresidual.resizeLike(x)"));
}

}  // namespace testing_support::residual_test
