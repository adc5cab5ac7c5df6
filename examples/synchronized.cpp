// One batch in parts on several processes, normalized as if it were whole: mpirun -n 2 synchronized
#include <batchnorm/adapters/mpi.hpp>
#include <batchnorm/batchnorm.hpp>
#include <iostream>

namespace bn = batchnorm;

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  bool is_whole = false;
  {
    const bn::mpi::Ranks ranks(MPI_COMM_WORLD);
    const int begin = 64 * ranks.rank() / ranks.ranks(), end = 64 * (ranks.rank() + 1) / ranks.ranks();
    std::srand(1);  // the same numbers on each rank, which takes some rows of them
    const Eigen::MatrixXf batch = Eigen::MatrixXf::Random(64, 3), squares = batch.cwiseAbs2(),
                          x = batch.middleRows(begin, end - begin), dy = squares.middleRows(begin, end - begin);

    bn::BatchNorm<float> norm({.channels = 3});
    Eigen::MatrixXf y, dx;
    norm.forward(x, y, {.across = &ranks});
    norm.backward(x, dy, dx, {.across = &ranks});  // gradients() are those of the whole batch: not to be summed again

    bn::BatchNorm<float> whole({.channels = 3});
    Eigen::MatrixXf whole_y, whole_dx;
    whole.forward(batch, whole_y);
    whole.backward(batch, squares, whole_dx);
    is_whole = y.isApprox(whole_y.middleRows(begin, end - begin), 1e-6f) &&
               dx.isApprox(whole_dx.middleRows(begin, end - begin), 1e-5f) &&
               norm.gradients().gamma.isApprox(whole.gradients().gamma, 1e-6f);
    if (ranks.rank() == 0) std::cout << ranks.ranks() << " ranks, " << norm.moments().count << " values a channel\n";
  }
  MPI_Finalize();
  return is_whole ? 0 : 1;
}
