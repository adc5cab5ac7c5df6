// What the functions refuse, what they say, and that nothing has changed then.
#include <gtest/gtest.h>

#include <batchnorm/functions/backward.hpp>
#include <batchnorm/functions/fold.hpp>
#include <batchnorm/functions/forward.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <unsupported/Eigen/CXX11/Tensor>
#include <vector>

#include "support/compare.hpp"
#include "support/kernels.hpp"
#include "support/throws.hpp"

namespace arguments_test {

namespace bn = batchnorm;
using Eigen::Index;
using testing_support::has_parts;
using testing_support::message_of;

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

const Matrix x = Matrix::Random(6, 3), dy = Matrix::Random(6, 3);

bn::Moments moments_of_x() {
  bn::Moments moments;
  bn::batch_moments(x, moments);
  return moments;
}

TEST(Arguments, XNeedsTheChannelsOfTheStatistics) {
  Matrix y;
  EXPECT_EQ(message_of([&] {
              bn::normalize(x, bn::AffineParameters<float>(), bn::statistics(bn::RunningStatistics(4), 1e-5), y);
            }),
            "batchnorm: normalize(x): expected 4 channels on axis 1 (samples_in_rows), got 3; x is [6, 3] row-major");
  Eigen::Tensor<float, 4> image(2, 5, 3, 4), out;
  image.setZero();
  EXPECT_EQ(
      message_of([&] {
        bn::normalize<bn::channel_first>(image, bn::AffineParameters<float>(),
                                         bn::statistics(bn::RunningStatistics(4), 1e-5), out);
      }),
      "batchnorm: normalize(x): expected 4 channels on axis 1 (channel_first), got 5; x is [2, 5, 3, 4] column-major");
  EXPECT_EQ(message_of([&] {
              bn::normalize<bn::channel_axis<2>>(image, bn::AffineParameters<float>(),
                                                 bn::statistics(bn::RunningStatistics(4), 1e-5), out);
            }),
            "batchnorm: normalize(x): expected 4 channels on axis 2 (channel_axis<2>), got 3; x is [2, 5, 3, 4] "
            "column-major");
}

TEST(Arguments, OutputsNeedTheExtentsOfX) {
  Matrix y(6, 2);
  bn::Moments moments;
  EXPECT_EQ(message_of([&] { bn::train_forward(x, bn::AffineParameters<float>(3), 1e-5, y, moments); }),
            "batchnorm: train_forward(y): expected the extents of x, [6, 3] row-major, got [6, 2] row-major; say "
            "y.resizeLike(x)");
  EXPECT_EQ(moments.count, 0);
  Eigen::Tensor<float, 3> tensor(2, 3, 4), wrong(2, 3, 5);
  tensor.setZero();
  EXPECT_EQ(
      message_of(
          [&] { bn::train_forward<bn::channel_first>(tensor, bn::AffineParameters<float>(3), 1e-5, wrong, moments); }),
      "batchnorm: train_forward(y): expected the extents of x, [2, 3, 4] column-major, got [2, 3, 5] column-major; say "
      "y.resize(x.dimensions())");
}

TEST(Arguments, AnEmptyMatrixArrayOrTensorTakesTheExtentsOfX) {
  bn::Moments moments;
  Matrix y;
  bn::train_forward(x, bn::AffineParameters<float>(3), 1e-5, y, moments);
  EXPECT_EQ(y.rows(), 6);
  Eigen::Array<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> array;
  bn::train_forward(x, bn::AffineParameters<float>(3), 1e-5, array, moments);
  EXPECT_EQ(array.cols(), 3);
  Eigen::Matrix<float, Eigen::Dynamic, 3, Eigen::RowMajor> three_columns;
  bn::train_forward(x, bn::AffineParameters<float>(3), 1e-5, three_columns, moments);
  EXPECT_EQ(three_columns.rows(), 6);
  const Eigen::Tensor<float, 3> tensor = Eigen::Tensor<float, 3>(2, 3, 4).setRandom();
  Eigen::Tensor<float, 3> result;
  bn::train_forward<bn::channel_first>(tensor, bn::AffineParameters<float>(3), 1e-5, result, moments);
  EXPECT_EQ(result.dimension(2), 4);
}

TEST(Arguments, AnEmptyMapIsAnError) {
  bn::Moments moments;
  EXPECT_THROW(bn::train_forward(x, bn::AffineParameters<float>(3), 1e-5, Eigen::Map<Matrix>(nullptr, 0, 3), moments),
               std::invalid_argument);
}

TEST(Arguments, AnEmptyMatrixWithoutRoomIsAnError) {
  bn::Moments moments;
  const auto message_for = [&](auto y) {
    return message_of([&] { bn::train_forward(x, bn::AffineParameters<float>(3), 1e-5, y, moments); });
  };
  EXPECT_TRUE(has_parts(message_for(Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor, 3, 3>()),
                        "train_forward(y)", "[6, 3]", "got [0, 0]"));
  EXPECT_TRUE(has_parts(message_for(Eigen::Matrix<float, Eigen::Dynamic, 3, Eigen::RowMajor, 5, 3>()), "got [0, 3]"));
  Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor, 8, 3> with_room;
  bn::train_forward(x, bn::AffineParameters<float>(3), 1e-5, with_room, moments);
  EXPECT_EQ(with_room.rows(), 6);
}

TEST(Arguments, DyNeedsTheExtentsOfX) {
  Matrix dx;
  bn::Gradients<float> gradients(3);
  const auto moments = moments_of_x();
  EXPECT_TRUE(has_parts(message_of([&] {
                          bn::backward(x, dy.topRows(5), bn::AffineParameters<float>(3), bn::statistics(moments, 1e-5),
                                       dx, gradients);
                        }),
                        "backward(dy)", "[6, 3] row-major", "got [5, 3] row-major"));
  EXPECT_TRUE((gradients.beta == 0).all());
}

TEST(Arguments, ParametersAndStatisticsNeedOneValuePerChannel) {
  Matrix y, dx;
  auto moments = moments_of_x();
  bn::AffineParameters<float> affine(3);
  bn::Gradients<float> gradients(3);
  affine.gamma.resize(2);
  EXPECT_TRUE(has_parts(message_of([&] { bn::train_forward(x, affine, 1e-5, y, moments); }), "train_forward",
                        "expected 3", "gamma", "got 2"));
  affine = bn::AffineParameters<float>(3);
  affine.beta.resize(4);
  EXPECT_TRUE(has_parts(message_of([&] { bn::normalize(x, affine, bn::statistics(moments, 1e-5), y); }), "normalize",
                        "expected 3", "beta", "got 4"));
  affine = bn::AffineParameters<float>(3);
  gradients.gamma.resize(5);
  EXPECT_TRUE(has_parts(message_of([&] { bn::backward(x, dy, affine, bn::statistics(moments, 1e-5), dx, gradients); }),
                        "backward", "expected 3", "gradients.gamma", "got 5"));
  bn::RunningStatistics running(3);
  running.variance.resize(1);
  EXPECT_TRUE(has_parts(message_of([&] { bn::normalize(x, affine, bn::statistics(running, 1e-5), y); }), "statistics",
                        "expected 3", "variance", "got 1"));
  moments.m2.resize(2);
  EXPECT_TRUE(has_parts(message_of([&] { bn::normalize(x, affine, bn::statistics(moments, 1e-5), y); }), "statistics",
                        "expected 3", "m2", "got 2"));
  bn::GradientSums sums(2);
  EXPECT_TRUE(
      has_parts(message_of([&] { bn::input_gradient(x, dy, affine, bn::statistics(moments_of_x(), 1e-5), sums, dx); }),
                "input_gradient", "expected 3", "sums", "got 2"));
}

TEST(Arguments, RunningStatisticsThatMakeNoSenseAreRefusedWithTheirChannel) {
  constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN(),
                   infinity = std::numeric_limits<double>::infinity();
  const bn::AffineParameters<float> affine(3);
  const auto refused = [&](const bn::RunningStatistics& running, const std::string& value) {
    Matrix y = x;
    bn::Gradients<float> gradients(3);
    const auto parts = [&](const std::string& message) {
      return has_parts(message, "statistics: expected running statistics", value + " ", "channel 2", "assign others");
    };
    EXPECT_TRUE(parts(message_of([&] { bn::normalize(y, affine, bn::statistics(running, 1e-5), y); })));
    EXPECT_TRUE(parts(message_of([&] { bn::backward(x, y, affine, bn::statistics(running, 1e-5), y, gradients); })));
    EXPECT_TRUE(parts(message_of([&] { (void)bn::fold(affine, bn::statistics(running, 1e-5)); })));
    EXPECT_TRUE(testing_support::equal_bits(y, x));
    EXPECT_TRUE((gradients.gamma == 0).all() && (gradients.beta == 0).all());
  };
  for (const double mean : {not_a_number, infinity, -infinity}) {
    bn::RunningStatistics running(3);
    running.mean[2] = mean;
    refused(running, "mean " + std::string(std::isnan(mean) ? "nan" : mean < 0 ? "-inf" : "inf"));
  }
  for (const double variance : {not_a_number, infinity, -1.1e-5, -1e-300}) {
    bn::RunningStatistics running(3);
    running.variance[2] = variance;
    refused(running, "mean 0 and variance");
  }
}

TEST(Arguments, GradientsOfParametersThatAreOffAreRefused) {
  Matrix dx;
  bn::Gradients<float> gradients(3);
  EXPECT_THROW(bn::backward(x, dy, bn::AffineParameters<float>(3, false, true), bn::statistics(moments_of_x(), 1e-5),
                            dx, gradients),
               std::invalid_argument);
  EXPECT_TRUE((gradients.beta == 0).all());
  bn::Gradients<float> of_beta;
  of_beta.beta.resize(2);
  EXPECT_TRUE(has_parts(message_of([&] {
                          bn::backward(x, dy, bn::AffineParameters<float>(3), bn::statistics(moments_of_x(), 1e-5), dx,
                                       of_beta);
                        }),
                        "expected 3 values in gradients.beta, got 2"));
  EXPECT_EQ(of_beta.gamma.size(), 0);
}

TEST(Arguments, EmptyGradientsStartAtZero) {
  Matrix dx;
  bn::Gradients<float> empty, zeros(3);
  bn::backward(x, dy, bn::AffineParameters<float>(3), bn::statistics(moments_of_x(), 1e-5), dx, empty);
  bn::backward(x, dy, bn::AffineParameters<float>(3), bn::statistics(moments_of_x(), 1e-5), dx, zeros);
  EXPECT_TRUE(testing_support::equal_statistics(empty.gamma, zeros.gamma));
  EXPECT_TRUE(testing_support::equal_statistics(empty.beta, zeros.beta));
}

TEST(Arguments, EpsilonMustBePositiveAndFinite) {
  Matrix y;
  bn::Moments moments;
  for (const double epsilon :
       {0.0, -1e-5, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    EXPECT_TRUE(
        has_parts(message_of([&] { bn::train_forward(x, bn::AffineParameters<float>(3), epsilon, y, moments); }),
                  "train_forward", "epsilon > 0", "got "));
  }
}

TEST(Arguments, AnEmptyBatchHasMomentsOfNothing) {
  bn::Moments moments = moments_of_x();
  bn::batch_moments(Matrix(0, 3), moments);
  EXPECT_EQ(moments.count, 0);
  EXPECT_EQ(moments.channels(), 3);
  Matrix y;
  EXPECT_TRUE(
      has_parts(message_of([&] { bn::train_forward(Matrix(0, 3), bn::AffineParameters<float>(3), 1e-5, y, moments); }),
                "train_forward(x)", "got none", "[0, 3]"));
  EXPECT_TRUE(
      has_parts(message_of([&] { bn::normalize(x, bn::AffineParameters<float>(3), bn::statistics(moments, 1e-5), y); }),
                "statistics(moments)", "got 0"));
}

TEST(Arguments, AnInnerStrideIsRefusedByName) {
  std::vector<float> memory(64, 1.0f);
  const Eigen::Map<Matrix, 0, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>> strided(
      memory.data(), 6, 3, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>(8, 2));
  Matrix dx;
  bn::Gradients<float> gradients(3);
  EXPECT_TRUE(has_parts(message_of([&] {
                          bn::backward(x, strided, bn::AffineParameters<float>(3), bn::statistics(moments_of_x(), 1e-5),
                                       dx, gradients);
                        }),
                        "dy", "inner stride of 2", "copy it"));
}

// As when a batch is split over more ranks than it has samples.
TEST(Arguments, AnEmptyPartOfABatchAddsNothingToTheGradients) {
  const auto check = [](const auto& empty) {
    std::remove_cvref_t<decltype(empty)> dx;
    bn::Moments moments(empty.cols());
    moments.count = 6;
    bn::Gradients<float> gradients(empty.cols());
    gradients.gamma.setConstant(2);
    bn::backward(empty, empty, bn::AffineParameters<float>(empty.cols()), bn::statistics(moments, 1e-5), dx, gradients);
    EXPECT_TRUE((gradients.gamma == 2).all() && (gradients.beta == 0).all());
    bn::GradientSums sums;
    bn::gradient_sums(empty, empty, bn::AffineParameters<float>(), bn::statistics(moments, 1e-5), sums);
    EXPECT_TRUE(sums.dy.size() == empty.cols() && (sums.dy == 0).all() && (sums.dy_x == 0).all());
    bn::input_gradient(empty, empty, bn::AffineParameters<float>(), bn::statistics(moments, 1e-5), sums, dx);
    EXPECT_EQ(dx.size(), 0);
  };
  for (const Index channels : {1, 3, 2050}) {
    check(Matrix(0, channels));
    check(Eigen::MatrixXf(0, channels));
  }
}

// The least |gamma| leaves y of an x_hat down to one epsilon a normal number: 2^-14 / 2^-10 for half.
TEST(Arguments, BackwardFromOutputTakesGammasOfHalfDownToASixteenth) {
  Eigen::Matrix<Eigen::half, Eigen::Dynamic, Eigen::Dynamic> values(8, 3), out;
  for (Index i = 0; i < values.size(); ++i) values.data()[i] = static_cast<Eigen::half>(float(i * 5 % 11) - 5.0f);
  bn::AffineParameters<float> affine(3);
  affine.gamma << 0.0625f, -0.25f, 1;
  bn::Moments moments;
  bn::batch_moments(values, moments);
  bn::Gradients<float> gradients;
  const auto call = [&] {
    bn::backward_from_output(values, values, affine, bn::statistics(moments, 1e-5), out, gradients);
  };
  EXPECT_NO_THROW(call());
  affine.gamma[1] = 0.0624f;
  EXPECT_TRUE(has_parts(message_of(call), "backward_from_output(y)", "max(0.0625", "gamma 0.0624", "channel 1"));
}

// Half a batch with the moments of all of it: the sums would be those of the half, divided by the count of the whole.
TEST(Arguments, TheFusedBackwardPassesNeedTheMomentsOfAllOfX) {
  const bn::Moments whole = moments_of_x();
  const Matrix half = x.topRows(2), dhalf = dy.topRows(2);
  const bn::AffineParameters<float> affine(3);
  Matrix dx, dresidual;
  bn::Gradients<float> gradients;
  const std::string rest =
      "(statistics): expected statistics of the 2 values per channel of x, got statistics of 6; for a part of a batch "
      "call "
      "gradient_sums on each part, add the sums, and call input_gradient; x is [2, 3] row-major";
  EXPECT_EQ(message_of([&] { bn::backward(half, dhalf, affine, bn::statistics(whole, 1e-5), dx, gradients); }),
            "batchnorm: backward" + rest);
  EXPECT_EQ(message_of([&] {
              bn::backward<bn::samples_in_rows, bn::add_relu>(half, half, dhalf, affine, bn::statistics(whole, 1e-5),
                                                              dx, dresidual, gradients);
            }),
            "batchnorm: backward" + rest);
  EXPECT_TRUE(has_parts(
      message_of([&] { bn::backward_from_output(half, dhalf, affine, bn::statistics(whole, 1e-5), dx, gradients); }),
      "backward_from_output(statistics): expected statistics of the 2 values per channel of y, got "
      "statistics of 6"));
  EXPECT_EQ(dx.size(), 0);
  EXPECT_EQ(dresidual.size(), 0);
  EXPECT_EQ(gradients.gamma.size(), 0);
}

TEST(Arguments, APartHasNoMoreValuesThanTheWhole) {
  bn::Moments half;
  bn::batch_moments(x.topRows(2), half);
  const bn::AffineParameters<float> affine(3);
  bn::GradientSums sums(3);
  Matrix dx;
  const std::string rest =
      "(statistics): expected statistics of a batch that x is a part of, of at least 6 values per channel, got "
      "statistics of 2; "
      "merge the moments of all parts; x is [6, 3] row-major";
  EXPECT_EQ(message_of([&] { bn::gradient_sums(x, dy, affine, bn::statistics(half, 1e-5), sums); }),
            "batchnorm: gradient_sums" + rest);
  EXPECT_EQ(message_of([&] { bn::input_gradient(x, dy, affine, bn::statistics(half, 1e-5), sums, dx); }),
            "batchnorm: input_gradient" + rest);
  EXPECT_EQ(dx.size(), 0);
}

TEST(Arguments, NormalizeTakesMomentsOfOtherData) {
  bn::Moments half;
  bn::batch_moments(x.topRows(2), half);
  Matrix y, part;
  const bn::AffineParameters<float> affine(3);
  bn::normalize(x, affine, bn::statistics(half, 1e-5), y);
  bn::normalize(x.topRows(2).eval(), affine, bn::statistics(half, 1e-5), part);
  EXPECT_EQ(y.topRows(2), part);
  bn::normalize(x, affine, bn::statistics(moments_of_x(), 1e-5), y);
  bn::normalize(x.topRows(2).eval(), affine, bn::statistics(moments_of_x(), 1e-5), part);
  EXPECT_EQ(y.topRows(2), part);
}

TEST(Arguments, NoTensorMayLieAtAnOddAddress) {
  std::vector<float> memory(100);
  Eigen::Map<Matrix> odd(reinterpret_cast<float*>(reinterpret_cast<char*>(memory.data()) + 1), 6, 3);
  Matrix y, dx;
  bn::Moments moments;
  bn::Gradients<float> gradients;
  const bn::AffineParameters<float> affine(3);
  const auto refused = [](const char* name, const auto& call) {
    EXPECT_TRUE(
        has_parts(message_of(call), std::string(name) + ": expected elements at addresses", "got a remainder of 1"));
  };
  refused("x", [&] { bn::train_forward(odd, affine, 1e-5, y, moments); });
  refused("y", [&] { bn::train_forward(x, affine, 1e-5, odd, moments); });
  refused("x", [&] { bn::batch_moments(odd, moments); });
  EXPECT_EQ(moments.count, 0);
  bn::batch_moments(x, moments);
  refused("dy", [&] { bn::backward(x, odd, affine, bn::statistics(moments, 1e-5), dx, gradients); });
  refused("dx", [&] { bn::backward(x, dy, affine, bn::statistics(moments, 1e-5), odd, gradients); });
  EXPECT_EQ(gradients.gamma.size(), 0);
  EXPECT_EQ(memory, std::vector<float>(100));
}

}  // namespace arguments_test
