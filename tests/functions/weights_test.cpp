// Weights and masks against the reference, which knows neither: of a batch that has each value as often as its weight
// says.
#include <gtest/gtest.h>

#include <algorithm>
#include <batchnorm/batchnorm.hpp>
#include <limits>
#include <vector>

#include "support/kernels.hpp"
#include "support/problem.hpp"
#include "support/shapes.hpp"

namespace testing_support::weights_test {

namespace bn = batchnorm;

/// How often each position of a batch is there, one for each row of its table of values.
struct Copies {
  const char* name;
  int (*of)(Index row, Index sample);
};

const Copies all_copies[] = {
    {"padded samples", [](Index, Index sample) { return sample % 3 == 1 ? 0 : 1; }},
    {"padded positions", [](Index row, Index) { return (row * 7 + row / 5) % 4 == 0 ? 0 : 1; }},
    {"weights of samples", [](Index, Index sample) { return int((sample + 1) % 4); }},
    {"weights of positions", [](Index row, Index) { return int((row * 5 + row / 3) % 4); }},
    {"a long run of padding", [](Index row, Index) { return row < 70 ? 0 : 1; }},
    {"few that are there", [](Index row, Index) { return row % 67 == 3 ? 2 : 0; }},
};

/// The values of each position as often as it is there.
Values repeated(const Values& values, const std::vector<int>& copies) {
  Index rows = 0;
  for (const int copy : copies) rows += copy;
  Values result(rows, values.cols());
  Index to = 0;
  for (Index row = 0; row < values.rows(); ++row) {
    for (int copy = 0; copy < copies[std::size_t(row)]; ++copy) result.row(to++) = values.row(row);
  }
  return result;
}

/// The gradient of a position is the sum of those of its copies.
Values gathered(const Values& of_copies, const std::vector<int>& copies) {
  Values result = Values::Zero(Index(copies.size()), of_copies.cols());
  Index from = 0;
  for (std::size_t row = 0; row < copies.size(); ++row) {
    for (int copy = 0; copy < copies[row]; ++copy) result.row(Index(row)) += of_copies.row(from++);
  }
  return result;
}

/// One shape of A, the weights of its positions, and padding that holds whatever spoils sums most.
template <class A>
struct WeightedProblem : Problem<A> {
  using Element = typename A::Scalar;
  using Scalar = bn::statistics_t<Element>;
  static constexpr std::size_t rank = A::rank;

  std::vector<int> copies;
  /// One for each position: the extents of x without its channels, row-major whatever x is.
  Eigen::Tensor<double, int(rank) - 1, Eigen::RowMajor> weights;

  WeightedProblem(const Extents<rank>& shape, const Copies& kind, double weight, Random& random)
      : Problem<A>(shape, random) {
    Extents<rank - 1> positions;
    for (std::size_t axis = 0, to = 0; axis < rank; ++axis) {
      if (int(axis) != A::axis) positions[to++] = shape[axis];
    }
    weights.resize(positions);
    const Index in_a_sample = this->count() / positions[0];
    for (Index row = 0; row < this->count(); ++row) {
      copies.push_back(kind.of(row, row / in_a_sample));
      weights.data()[row] = weight * copies.back();
    }
    // What is left over must have a variance.
    if (std::count_if(copies.begin(), copies.end(), [](int copy) { return copy > 0; }) < 4) {
      std::fill(copies.begin(), copies.end(), 1);
      weights.setConstant(weight);
    }
    spoil_padding();
  }

  Real n() const {
    Real sum = 0;
    for (const int copy : copies) sum += copy;
    return sum;
  }
  Values x_copies() const { return repeated(this->x_values, copies); }
  /// A position's gradient is shared among its copies.
  Values gradient_copies(Values gradient) const {
    for (std::size_t row = 0; row < copies.size(); ++row) {
      if (copies[row] > 0) gradient.row(Index(row)) /= copies[row];
    }
    return repeated(gradient, copies);
  }
  /// Of the positions that are there.
  Values present(const Values& values) const {
    std::vector<int> there;
    for (const int copy : copies) there.push_back(copy > 0 ? 1 : 0);
    return repeated(values, there);
  }
  /// What the normalization gives where something is.
  Values expected_z() const {
    const auto batch = reference::forward(x_copies(), this->gamma(), this->beta(), epsilon);
    return reference::normalize(present(this->x_values), this->gamma(), this->beta(), batch.mean, batch.variance,
                                epsilon)
        .y;
  }
  Values padded(const Values& values) const {
    std::vector<int> not_there;
    for (const int copy : copies) not_there.push_back(copy > 0 ? 0 : 1);
    return repeated(values, not_there);
  }

 private:
  void spoil_padding() {
    const Real bad[] = {std::numeric_limits<Real>::quiet_NaN(), std::numeric_limits<Real>::infinity(),
                        Real(std::numeric_limits<Element>::max()), -std::numeric_limits<Real>::infinity()};
    for (std::size_t row = 0; row < copies.size(); ++row) {
      if (copies[row] > 0) continue;
      this->x_values.row(Index(row)).setConstant(bad[row % 4]);
      this->dy_values.row(Index(row)).setConstant(bad[(row + 1) % 4]);
    }
    assign(this->x_values, this->x.view(), A::axis);
    assign(this->dy_values, this->dy.view(), A::axis);
  }
};

template <class A>
void expect_the_reference_forward(WeightedProblem<A>& p, const reference::Forward& expected,
                                  const bn::Moments& moments) {
  using Element = typename A::Scalar;
  using Scalar = bn::statistics_t<Element>;
  EXPECT_TRUE(close_sums<Scalar>(moments.mean, expected.mean, p.x_copies() / p.n(), tolerance<Element>()));
  EXPECT_TRUE(close_relative<Scalar>(moments.variance().eval(), expected.variance, tolerance<Element>()));
  EXPECT_TRUE(close_forward<Element>(p.present(values_of(p.y.view(), A::axis)), p.expected_z()));
}

/// p.dx and these, of a dz that came to each position. `least`: what dx errs by is relative to this at least.
template <class A>
void expect_the_reference_backward(WeightedProblem<A>& p, const Values& dz, const reference::Backward& expected,
                                   const Values& x_hat,
                                   const bn::Gradients<bn::statistics_t<typename A::Scalar>>& gradients, Real least,
                                   Real allowance) {
  using Element = typename A::Scalar;
  using Scalar = bn::statistics_t<Element>;
  const Values copies = p.gradient_copies(dz);
  EXPECT_TRUE(close_sums<Scalar>(gradients.gamma, expected.dgamma, copies * x_hat, allowance));
  EXPECT_TRUE(close_sums<Scalar>(gradients.beta, expected.dbeta, copies, allowance));
  const Values dx = values_of(p.dx.view(), A::axis), expected_dx = gathered(expected.dx, p.copies);
  const Real size = std::max<Real>(expected_dx.abs().maxCoeff(), least);
  EXPECT_LE(max_abs(dx - expected_dx), allowance * size + storage_rounding<Element>(size));
  EXPECT_TRUE((p.padded(dx) == 0).all());
}

/// The same through the statistics of the batch.
template <class A>
void expect_gradients(WeightedProblem<A>& p, const Values& dz,
                      const bn::Gradients<bn::statistics_t<typename A::Scalar>>& gradients,
                      Real allowance = tolerance<typename A::Scalar>()) {
  const Values x = p.x_copies();
  const auto forward = reference::forward(x, p.gamma(), p.beta(), epsilon);
  expect_the_reference_backward(p, dz, reference::backward(x, p.gradient_copies(dz), p.gamma(), epsilon), forward.x_hat,
                                gradients, (p.gamma() * forward.inv_std).maxCoeff(), allowance);
}

/// The halves are the whole's: p has y and dx of it. y is lost.
template <class A>
void expect_the_same_in_halves(WeightedProblem<A>& p, const bn::Moments& moments) {
  using L = typename A::Layout;
  bn::Moments of_half;
  bn::batch_moments<L>(p.x.view(), of_half, {.weights = p.weights});
  EXPECT_EQ(of_half.count, moments.count);
  EXPECT_TRUE((of_half.mean == moments.mean).all() && (of_half.m2 == moments.m2).all());
  const auto statistics = bn::statistics(moments, epsilon);
  bn::GradientSums sums;
  bn::gradient_sums<L>(p.x.view(), p.dy.view(), p.affine, statistics, sums, {.weights = p.weights});
  bn::input_gradient<L>(p.x.view(), p.dy.view(), p.affine, statistics, sums, p.y.view(), {.weights = p.weights});
  EXPECT_TRUE(equal_bits(values_of(p.y.view(), A::axis), values_of(p.dx.view(), A::axis)));
}

template <class A>
void expect_the_reference(WeightedProblem<A>& p, Real weight) {
  using Scalar = bn::statistics_t<typename A::Scalar>;
  using L = typename A::Layout;
  bn::Moments moments;
  bn::train_forward<L>(p.x.view(), p.affine, epsilon, p.y.view(), moments, {.weights = p.weights});
  const Values x = p.x_copies();
  EXPECT_EQ(moments.count, double(weight * p.n()));
  expect_the_reference_forward(p, reference::forward(x, p.gamma(), p.beta(), epsilon), moments);

  bn::Gradients<Scalar> gradients(p.channels());
  bn::backward<L>(p.x.view(), p.dy.view(), p.affine, bn::statistics(moments, epsilon), p.dx.view(), gradients,
                  {.weights = p.weights});
  expect_gradients(p, p.dy_values, gradients);
  expect_the_same_in_halves(p, moments);

  bn::Gradients<Scalar> frozen(p.channels());
  bn::backward<L>(p.x.view(), p.dy.view(), p.affine, bn::statistics(p.running, epsilon), p.dx.view(), frozen,
                  {.weights = p.weights});
  const PerChannel mean = p.running.mean.template cast<Real>(), variance = p.running.variance.template cast<Real>();
  const auto expected =
      reference::frozen_backward(x, p.gradient_copies(p.dy_values), p.gamma(), mean, variance, epsilon);
  const auto constants = reference::normalize(x, p.gamma(), p.beta(), mean, variance, epsilon);
  expect_the_reference_backward(p, p.dy_values, expected, constants.x_hat, frozen, 0, tolerance<typename A::Scalar>());
  p.expect_the_rest_untouched();
}

template <class A>
class Weighted : public testing::Test {};

template <class A>
std::vector<Extents<A::rank>> shapes() {
  std::vector<Extents<A::rank>> result;
  if constexpr (A::rank == 2) {
    result = {{5, 3}, {33, 1}, {100, 7}, {70, 40}, {130, 70}, {700, 1030}};
  } else if constexpr (A::rank == 3) {
    result = {{6, 3, 5}, {9, 20, 34}, {3, 5, 700}};
  } else {
    result = {{5, 3, 3, 3}, {20, 6, 4, 5}, {7, 33, 5, 6}, {4, 2, 40, 41}, {3, 2, 190, 180}, {40, 17, 1, 3}};
  }
  for (auto& shape : result) shape = with_channels_on(A::axis, shape);
  return result;
}

using Arrangements = testing::Types<Arrangement<OwnedMatrix<float, Eigen::RowMajor>, bn::samples_in_rows, 1>,
                                    Arrangement<BlockOfMatrix<float, Eigen::ColMajor>, bn::samples_in_rows, 1>,
                                    Arrangement<BlockOfMatrix<double, Eigen::RowMajor>, bn::samples_in_rows, 1>,
                                    Arrangement<OwnedMatrix<double, Eigen::ColMajor>, bn::samples_in_columns, 0>,
                                    Arrangement<OwnedTensor<float, 4, Eigen::RowMajor>, bn::channel_first, 1>,
                                    Arrangement<MappedTensor<float, 4, Eigen::RowMajor>, bn::channel_last, 3>,
                                    Arrangement<OwnedTensor<double, 3, Eigen::RowMajor>, bn::channel_last, 2>,
                                    Arrangement<OwnedTensor<float, 4, Eigen::ColMajor>, bn::channel_first, 1>,
                                    Arrangement<MappedTensor<double, 4, Eigen::ColMajor>, bn::channel_axis<0>, 0>,
                                    Arrangement<OwnedTensor<double, 4, Eigen::RowMajor>, bn::channel_axis<2>, 2>>;
TYPED_TEST_SUITE(Weighted, Arrangements);

TYPED_TEST(Weighted, AreAsManyValues) {
  using A = TypeParam;
  Random random(3);
  for (const auto& extents : shapes<A>()) {
    const bool is_large = extents[0] * extents[1] > 100'000;
    for (const Copies& kind : all_copies) {
      // Weights of half the size are the same statistics of half the count.
      for (const double weight : {1.0, 0.5}) {
        if (is_large && (kind.name != std::string("weights of positions") || weight == 1)) continue;
        SCOPED_TRACE(testing::Message() << "extents " << testing::PrintToString(extents) << ", " << kind.name
                                        << ", times " << weight);
        WeightedProblem<A> problem(extents, kind, weight, random);
        expect_the_reference(problem, weight);
        if (testing::Test::HasFailure()) return;
      }
    }
  }
}

/// Runs body(problem) on rows and on planes, for all kinds of weights.
template <class Body>
void for_each_problem_of_floats(const Body& body) {
  const auto check = [&](auto arrangement, const auto& extents) {
    Random random(5);
    for (const Copies& kind : all_copies) {
      SCOPED_TRACE(testing::Message() << "extents " << testing::PrintToString(extents) << ", " << kind.name);
      WeightedProblem<decltype(arrangement)> problem(extents, kind, 0.5, random);
      body(problem);
    }
  };
  for (const Extents<2>& extents : {Extents<2>{5, 3}, {100, 7}, {130, 70}})
    check(Arrangement<OwnedMatrix<float, Eigen::RowMajor>, bn::samples_in_rows, 1>(), extents);
  for (const Extents<4>& extents : {Extents<4>{20, 6, 4, 5}, {4, 2, 40, 41}})
    check(Arrangement<OwnedTensor<float, 4, Eigen::RowMajor>, bn::channel_first, 1>(), extents);
}

// At the kink, y says which side the forward pass took.
TEST(Weights, GoWithAResidual) {
  for_each_problem_of_floats([]<class A>(WeightedProblem<A>& p) {
    using L = typename A::Layout;
    Random random(6);
    const Values padding = Values::Constant(p.count(), p.channels(), std::numeric_limits<Real>::quiet_NaN());
    Values residual_values = rounded_to<float>(normal_values(p.count(), p.channels(), random));
    for (Index row = 0; row < p.count(); ++row) {
      if (p.copies[std::size_t(row)] == 0) residual_values.row(row) = padding.row(row);
    }
    typename A::Container residual(p.extents), dresidual(p.extents);
    assign(residual_values, residual.view(), A::axis);
    bn::Moments moments;
    bn::Gradients<float> gradients;
    bn::train_forward<L>(p.x.view(), residual.view(), p.affine, epsilon, p.y.view(), moments, {.weights = p.weights});
    const Values y = values_of(p.y.view(), A::axis);
    EXPECT_TRUE(close_add_relu<float>(p.present(y), p.expected_z(), p.present(residual_values)));
    bn::backward<L>(p.x.view(), residual.view(), p.dy.view(), p.affine, bn::statistics(moments, epsilon), p.dx.view(),
                    dresidual.view(), gradients, {.weights = p.weights});
    const Values dz = values_of(dresidual.view(), A::axis);
    EXPECT_TRUE((p.present(dz) == (p.present(y) > 0).select(p.present(p.dy_values), Real(0))).all());
    EXPECT_TRUE((p.padded(dz) == 0).all());
    expect_gradients(p, dz, gradients);
    p.expect_the_rest_untouched();
  });
}

TEST(Weights, GoThroughAnActivationAndBackFromItsOutput) {
  constexpr bn::leaky_relu leaky(0.25);
  for_each_problem_of_floats([&]<class A>(WeightedProblem<A>& p) {
    using L = typename A::Layout;
    bn::Moments moments;
    bn::Gradients<float> gradients, from_output;
    bn::train_forward<L, bn::leaky_relu>(p.x.view(), p.affine, epsilon, p.y.view(), moments,
                                         {.activation = leaky, .weights = p.weights});
    const auto statistics = bn::statistics(moments, epsilon);
    const Values y = values_of(p.y.view(), A::axis), z = p.expected_z();
    EXPECT_TRUE(close_forward<float>(p.present(y), (z > 0).select(z, z / 4)));
    const Values dz = (y > 0).select(p.dy_values, p.dy_values / 4);
    bn::backward<L, bn::leaky_relu>(p.x.view(), p.dy.view(), p.affine, statistics, p.dx.view(), gradients,
                                    {.activation = leaky, .weights = p.weights});
    expect_gradients(p, dz, gradients);
    bn::backward_from_output<L, bn::leaky_relu>(p.y.view(), p.dy.view(), p.affine, statistics, p.dx.view(), from_output,
                                                {.activation = leaky, .weights = p.weights});
    // x_hat comes back within 8 roundings of |x_hat| + |beta / gamma|, below 6: 3 of these, and dx has 5 x_hat at most.
    expect_gradients(p, dz, from_output, 16 * tolerance<float>());
    p.expect_the_rest_untouched();
  });
}

// Chunks of a plane end anywhere in memory: where all behind is padding, or next to nothing, it adds no rounding
// either. Sums are taken chunk by chunk: one of padding alone has nothing to estimate from.
TEST(Weights, OfPaddingThatIsLongerThanAChunkHideWhatItHolds) {
  const auto check = [](auto layout, Eigen::Index samples, Eigen::Index second, Eigen::Index third, float padding) {
    SCOPED_TRACE(testing::Message() << samples << "x" << second << "x" << third << " with " << padding);
    using Layout = decltype(layout);
    using Batch = Eigen::Tensor<float, 3, Eigen::RowMajor>;
    Batch x(samples, second, third), dy(samples, second, third), dx;
    x.setRandom();
    dy.setRandom();
    Eigen::ArrayXf mask = Eigen::ArrayXf::Ones(samples);
    const Eigen::Index masked = samples / 2, values = masked * second * third, rest = samples - masked;
    mask.head(masked).setZero();
    std::fill_n(x.data(), values, padding);
    std::fill_n(dy.data(), values, padding);
    using Part = Eigen::TensorMap<Batch>;
    bn::Moments moments, expected;
    bn::batch_moments<Layout>(x, moments, {.weights = mask});
    bn::batch_moments<Layout>(Part(x.data() + values, rest, second, third), expected);
    EXPECT_EQ(moments.count, expected.count);
    EXPECT_LE(max_abs(moments.mean - expected.mean), 1e-6);
    EXPECT_LE(max_abs(moments.m2 / expected.m2 - 1), 1e-6);
    const bn::AffineParameters<float> affine;
    bn::Gradients<float> gradients;
    bn::backward<Layout>(x, dy, affine, bn::statistics(moments, 1e-5), dx, gradients, {.weights = mask});
    EXPECT_TRUE(gradients.gamma.isFinite().all() && gradients.beta.isFinite().all());
    EXPECT_TRUE((Eigen::Map<Eigen::ArrayXf>(dx.data(), dx.size()).isFinite().all()));
  };
  for (const float padding : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 1e30f}) {
    check(bn::channel_first(), 2, 1, 40000, padding);
    check(bn::channel_first(), 32, 4, 3136, padding);
    check(bn::channel_first(), 1000, 4, 100, padding);
    check(bn::channel_last(), 64, 100, 64, padding);
    check(bn::channel_last(), 8, 1024, 512, padding);
  }
}

// Sums of weights are rounded as they are cut: into ranges, parts of a batch, the order of another layout.
TEST(Weights, AddUpToTheSameBatchHoweverTheyAreCut) {
  using Rows = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const bn::AffineParameters<double> affine(8);
  const auto weights_of = [](Index samples) {
    Eigen::ArrayXd weights(samples);
    for (Index i = 0; i < samples; ++i) weights[i] = 0.1 * double(1 + i % 7) + 1e-3 * double(i % 11);
    return weights;
  };
  for (const Index samples : {90, 99999}) {
    const Rows x = Rows::Random(samples, 8), dy = Rows::Random(samples, 8);
    const Eigen::ArrayXd weights = weights_of(samples);
    Rows y, dx;
    bn::Moments moments, merged, of_part;
    bn::train_forward(x, affine, 1e-5, y, moments, {.weights = weights});
    bn::Gradients<double> gradients, of_merged, of_columns;
    bn::backward(x, dy, affine, bn::statistics(moments, 1e-5), dx, gradients, {.weights = weights});
    for (Index first = 0; first < samples; first += samples / 3) {
      const Index part = samples / 3;
      bn::batch_moments(x.middleRows(first, part), of_part, {.weights = weights.segment(first, part)});
      merged.merge(of_part);
    }
    Rows expected = dx;
    bn::backward(x, dy, affine, bn::statistics(merged, 1e-5), dx, of_merged, {.weights = weights});
    EXPECT_LE(max_abs(dx - expected), 1e-12);
    const Eigen::MatrixXd columns = x;
    bn::batch_moments(columns, of_part, {.weights = weights});
    bn::backward(x, dy, affine, bn::statistics(of_part, 1e-5), dx, of_columns, {.weights = weights});
    EXPECT_LE(max_abs(dx - expected), 1e-12);
    EXPECT_LE(max_abs(of_merged.gamma - gradients.gamma), 1e-12 * double(samples));
    EXPECT_LE(max_abs(of_columns.gamma - gradients.gamma), 1e-12 * double(samples));
  }
}

// What lies between them would be refused.
TEST(Weights, MayLieAnywhereInMemory) {
  using Rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const auto check = [](auto layout, const auto& x, const auto& weights, const auto&... others) {
    bn::Moments expected;
    bn::batch_moments<decltype(layout)>(x, expected, {.weights = weights});
    const auto expect_the_same = [&](const auto& other) {
      bn::Moments moments;
      bn::batch_moments<decltype(layout)>(x, moments, {.weights = other});
      EXPECT_EQ(moments.count, expected.count);
      EXPECT_TRUE(equal_statistics(moments.mean, expected.mean) && equal_statistics(moments.m2, expected.m2));
    };
    (expect_the_same(others), ...);
  };
  const Index samples = 600;  // more than are read at a time
  const Eigen::ArrayXf weights = Eigen::ArrayXf::Random(samples) + 1;
  Rows rows = Rows::Constant(samples, 5, -1);
  Eigen::MatrixXf columns = rows.transpose();
  rows.col(3) = weights.matrix();
  columns.row(2) = weights.matrix().transpose();
  const auto& constant = rows;
  using Strided = Eigen::Map<const Eigen::ArrayXf, 0, Eigen::InnerStride<>>;
  check(bn::samples_in_rows(), Eigen::MatrixXf(Eigen::MatrixXf::Random(samples, 4)), weights, rows.col(3),
        constant.col(3), columns.row(2), columns.row(2).transpose(),
        Strided(rows.data() + 3, samples, Eigen::InnerStride<>(5)));

  Eigen::Tensor<float, 3, Eigen::RowMajor> sequences(6, 4, 7);
  sequences.setRandom();
  const Eigen::MatrixXf positions = weights.head(42).reshaped(6, 7);
  Rows around = Rows::Constant(9, 11, -1);
  around.block(2, 3, 6, 7) = positions;
  const Eigen::MatrixXf turned = around.block(2, 3, 6, 7).transpose();
  check(bn::channel_first(), sequences, positions, around.block(2, 3, 6, 7), turned.transpose(),
        Rows(positions).array());
}

TEST(Weights, ThatAreTinyBesideOthersChangeNothing) {
  const Index samples = 100, channels = 2, inner = 600, there = 54;  // as many planes make a chunk
  Eigen::Tensor<float, 3, Eigen::RowMajor> x(samples, channels, inner);
  x.setRandom();
  Eigen::ArrayXf weights = Eigen::ArrayXf::Constant(samples, 0.1f);
  bn::Moments expected, moments;
  weights.tail(samples - there).setZero();
  bn::batch_moments<bn::channel_first>(x, expected, {.weights = weights});
  EXPECT_NEAR(expected.count, double(0.1f) * double(there * inner), 1e-9);
  for (const float tiny : {1e-25f, 1e-18f}) {
    weights.tail(samples - there).setConstant(tiny);
    bn::batch_moments<bn::channel_first>(x, moments, {.weights = weights});
    for (Index c = 0; c < channels; ++c) {
      EXPECT_NEAR(moments.mean[c], expected.mean[c], 1e-12);
      EXPECT_NEAR(moments.variance()[c], expected.variance()[c], 1e-12);
    }
  }
}

}  // namespace testing_support::weights_test
