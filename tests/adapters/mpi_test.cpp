// A batch in parts on the processes of mpirun, of which there may be any number: as if it were whole.
#include <gtest/gtest.h>

#include <batchnorm/adapters/mpi.hpp>
#include <batchnorm/batchnorm.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <unsupported/Eigen/CXX11/Tensor>
#include <vector>

#include "support/kernels.hpp"
#include "support/throws.hpp"

namespace mpi_test {

namespace bn = batchnorm;
using Eigen::Index;
using testing_support::has_parts;
using testing_support::message_of;

template <class Scalar>
using Rows = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// The same on all ranks.
template <class Scalar>
Rows<Scalar> values(Index rows, Index columns, unsigned seed) {
  std::srand(seed);
  return Rows<Scalar>::Random(rows, columns).array() * Scalar(2) + Scalar(3);
}

/// Which rows of a batch are a rank's: rank 1 of three or more has none, and the last has the most.
struct Part {
  Index first, count;

  Part(const bn::mpi::Ranks& ranks, Index rows) {
    const auto begin_of = [&](int rank) {
      if (rank == ranks.ranks()) return rows;
      return Index(ranks.ranks() > 2 && rank > 1 ? rank - 1 : rank) * 3;
    };
    first = begin_of(ranks.rank());
    count = begin_of(ranks.rank() + 1) - first;
  }
};

/// Largest |a - b|, relative to the largest |b| of all.
template <class A, class B>
double difference(const A& a, const B& b, double largest) {
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  double result = 0;
  for (Index k = 0; k < Index(a.size()); ++k) {
    const double distance = std::abs(double(a.data()[k] - b.data()[k]));
    if (std::isnan(distance)) return distance;
    result = std::max(result, distance);
  }
  return result / largest;
}

/// Whether all ranks have the same bits of these.
testing::AssertionResult same_on_all(const bn::mpi::Ranks& ranks, std::vector<double> mine) {
  std::vector<double> all(mine.size() * std::size_t(ranks.ranks()));
  ranks.gather(mine, all);
  for (std::size_t k = 0; k < all.size(); ++k) {
    if (all[k] != mine[k % mine.size()]) return testing::AssertionFailure() << all[k] << " of rank " << k / mine.size();
  }
  return testing::AssertionSuccess();
}

template <class Layer>
std::vector<double> state_of(Layer& layer) {
  std::vector<double> state;
  const auto add = [&](const auto& array) {
    for (Index c = 0; c < array.size(); ++c) state.push_back(double(array[c]));
  };
  add(layer.running().mean);
  add(layer.running().variance);
  add(layer.moments().mean);
  add(layer.moments().m2);
  add(layer.gradients().gamma);
  add(layer.gradients().beta);
  return state;
}

template <class Scalar>
class AcrossProcesses : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(AcrossProcesses, Scalars);

TYPED_TEST(AcrossProcesses, ABatchIsNormalizedAsTheWhole) {
  using Scalar = TypeParam;
  constexpr double allowance = std::is_same_v<Scalar, float> ? 1e-6 : 1e-12;
  const bn::mpi::Ranks ranks;
  const Rows<Scalar> x = values<Scalar>(20, 7, 1), dy = values<Scalar>(20, 7, 2);
  bn::BatchNorm<Scalar> whole({.channels = 7}), layer({.channels = 7});
  Rows<Scalar> whole_y, whole_dx, y, dx;
  const Part part(ranks, 20);
  const Rows<Scalar> mine = x.middleRows(part.first, part.count), my_dy = dy.middleRows(part.first, part.count);
  for (int step = 0; step < 3; ++step) {
    whole.forward(x, whole_y);
    whole.backward(x, dy, whole_dx);
    layer.forward(mine, y, {.across = &ranks});
    layer.backward(mine, my_dy, dx, {.across = &ranks});
  }
  EXPECT_EQ(layer.moments().count, 20);
  const auto rows_of = [&](const Rows<Scalar>& all) { return Rows<Scalar>(all.middleRows(part.first, part.count)); };
  EXPECT_LE(difference(y, rows_of(whole_y), whole_y.cwiseAbs().maxCoeff()), allowance);
  EXPECT_LE(difference(dx, rows_of(whole_dx), whole_dx.cwiseAbs().maxCoeff()), allowance);
  EXPECT_LE(difference(layer.running().mean, whole.running().mean, whole.running().mean.abs().maxCoeff()), allowance);
  EXPECT_LE(difference(layer.running().variance, whole.running().variance, whole.running().variance.maxCoeff()),
            allowance);
  // Sums of 60 terms of up to 10.
  EXPECT_LE(difference(layer.gradients().gamma, whole.gradients().gamma, 60), allowance);
  EXPECT_LE(difference(layer.gradients().beta, whole.gradients().beta, 60), allowance);
  EXPECT_TRUE(same_on_all(ranks, state_of(layer)));
}

TEST(Processes, HaveImagesOfOneBatch) {
  using Images = Eigen::Tensor<float, 4, Eigen::RowMajor>;
  const bn::mpi::Ranks ranks;
  std::srand(3);
  Images x(8, 3, 5, 4), whole_y(8, 3, 5, 4);
  for (Index k = 0; k < x.size(); ++k) x.data()[k] = float(std::rand()) / float(RAND_MAX);
  bn::BatchNorm<float, bn::channel_first, bn::relu> whole({.channels = 3}), layer({.channels = 3});
  whole.forward(x, whole_y);
  const Index first = 8 * ranks.rank() / ranks.ranks(), count = 8 * (ranks.rank() + 1) / ranks.ranks() - first;
  const Eigen::array<Index, 4> begin{first, 0, 0, 0}, extents{count, 3, 5, 4};
  const Images mine = x.slice(begin, extents), expected = whole_y.slice(begin, extents);
  Images y(mine.dimensions());
  layer.forward(mine, y, {.across = &ranks});
  EXPECT_LE(difference(y, expected, 2), 1e-6);
  EXPECT_TRUE(same_on_all(ranks, state_of(layer)));
}

TEST(Processes, GatherPopulationStatistics) {
  const bn::mpi::Ranks ranks;
  bn::BatchNorm<float> whole({.channels = 4}), layer({.channels = 4});
  std::vector<Rows<float>> all, mine;
  for (int batch = 0; batch < 6; ++batch) {
    all.push_back(values<float>(5 + batch, 4, unsigned(batch)));
    if (batch % ranks.ranks() == ranks.rank()) mine.push_back(all.back());
  }
  bn::recalibrate(whole, all);
  bn::recalibrate(layer, mine, {.across = &ranks});
  EXPECT_EQ(layer.running().batches, 6);
  EXPECT_LE(difference(layer.running().mean, whole.running().mean, 3), 1e-12);
  EXPECT_LE(difference(layer.running().variance, whole.running().variance, 1), 1e-12);
  EXPECT_TRUE(same_on_all(ranks, state_of(layer)));
}

TEST(Processes, AreToldOfOneThatThrows) {
  const bn::mpi::Ranks ranks;
  bn::BatchNorm<float> layer({.channels = 4});
  const int last = ranks.ranks() - 1;
  Rows<float> x = values<float>(5, 4, 1), y;
  if (ranks.rank() == last) {
    const Rows<float> wrong = x.leftCols(3);
    EXPECT_TRUE(has_parts(message_of([&] { layer.forward(wrong, y, {.across = &ranks}); }),
                          "forward(x): expected 4 channels", "got 3"));
  } else {
    EXPECT_TRUE(has_parts(message_of<std::runtime_error>([&] { layer.forward(x, y, {.across = &ranks}); }),
                          "but rank " + std::to_string(last) + ", counted from 0, has left the call"));
  }
  EXPECT_EQ(layer.running().batches, 0);
  layer.forward(x, y, {.across = &ranks});  // and may go on
  EXPECT_EQ(layer.moments().count, 5 * ranks.ranks());
}

TEST(Processes, NeedRoomForWhatTheyAreTold) {
  const bn::mpi::Ranks ranks;
  const std::vector<double> mine(2, ranks.rank());
  std::vector<double> small(2 * std::size_t(ranks.ranks()) - 1), all(small.size() + 1);
  EXPECT_TRUE(has_parts(message_of([&] { ranks.gather(mine, small); }), "gather(all): expected room for 2 numbers"));
  ranks.gather(mine, all);
  EXPECT_EQ(all.back(), ranks.ranks() - 1);
}

TEST(Processes, AreOutOfStepForGoodWhereOneCameWithOtherNumbers) {
  const bn::mpi::Ranks ranks;
  const int last = ranks.ranks() - 1;
  std::vector<double> two(2), three(3), all_two(2 * std::size_t(last + 1)), all_three(3 * std::size_t(last + 1));
  const auto gather_other_numbers = [&] {
    if (ranks.rank() == last) {
      ranks.gather(three, all_three);
    } else {
      ranks.gather(two, all_two);
    }
  };
  if (last == 0) return gather_other_numbers();  // there is no other
  EXPECT_TRUE(has_parts(message_of<bn::mpi::MpiError>(gather_other_numbers), "numbers of each rank, got",
                        "layers of the same channels"));
  for (int call = 0; call < 2; ++call) {
    EXPECT_TRUE(has_parts(message_of<bn::mpi::MpiError>([&] { ranks.gather(two, all_two); }),
                          "expected ranks in step, but a call before has failed", "make new Ranks"));
  }
  bn::BatchNorm<float> layer({.channels = 4});
  const Rows<float> x = values<float>(5, 4, 1);
  Rows<float> y;
  EXPECT_TRUE(has_parts(message_of<bn::mpi::MpiError>([&] { layer.forward(x, y, {.across = &ranks}); }), "in step"));
  EXPECT_EQ(layer.running().batches, 0);
  const bn::mpi::Ranks others;
  others.gather(two, all_two);
}

TEST(Processes, TellEachOtherAnyNumberOfNumbers) {
  const bn::mpi::Ranks ranks;
  for (const std::size_t count : {0, 1, 62, 63, 64, 1'000}) {
    std::vector<double> mine(count), all(count * std::size_t(ranks.ranks()));
    for (std::size_t k = 0; k < count; ++k) mine[k] = 10'000.0 * ranks.rank() + double(k);
    ranks.gather(mine, all);
    for (std::size_t k = 0; k < all.size(); ++k) {
      ASSERT_EQ(all[k], 10'000.0 * double(k / count) + double(k % count)) << count << " numbers";
    }
  }
}

TEST(Processes, MayBeThoseOfAPartOfTheWorld) {
  int rank = 0, size = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  MPI_Comm half;
  MPI_Comm_split(MPI_COMM_WORLD, rank % 2, -rank, &half);  // in the other order
  const int ranks_in_half = rank % 2 == 0 ? (size + 1) / 2 : size / 2;
  {
    const bn::mpi::Ranks ranks(half);
    EXPECT_EQ(ranks.ranks(), ranks_in_half);
    EXPECT_EQ(ranks.rank(), ranks_in_half - 1 - rank / 2);
    const std::vector<double> mine{double(rank), 0.5};
    std::vector<double> all(2 * std::size_t(ranks_in_half));
    ranks.gather(mine, all);
    for (int k = 0; k < ranks_in_half; ++k) {
      EXPECT_EQ(all[2 * std::size_t(k)], 2 * (ranks_in_half - 1 - k) + rank % 2);
      EXPECT_EQ(all[2 * std::size_t(k) + 1], 0.5);
    }
  }
  MPI_Comm_free(&half);
}

/// Before MPI_Init and after MPI_Finalize.
void expect_that_ranks_need_mpi() {
  EXPECT_TRUE(has_parts(message_of<bn::mpi::MpiError>([] { bn::mpi::Ranks ranks; }), "call MPI_Init first"));
}

}  // namespace mpi_test

int main(int argc, char** argv) {
  mpi_test::expect_that_ranks_need_mpi();
  MPI_Init(&argc, &argv);
  testing::InitGoogleTest(&argc, argv);
  const int result = RUN_ALL_TESTS();
  MPI_Finalize();
  mpi_test::expect_that_ranks_need_mpi();
  return result != 0 || testing::UnitTest::GetInstance()->ad_hoc_test_result().Failed();
}
