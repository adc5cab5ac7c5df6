// A job of which one rank fails while the others wait for it: it has to end, and to say why.
#include <batchnorm/adapters/mpi.hpp>
#include <batchnorm/batchnorm.hpp>
#include <stdexcept>
#include <string>

#include "support/kernels.hpp"

namespace bn = batchnorm;

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  const std::string how = argv[1];
  {
    const bn::mpi::Ranks ranks;
    const bool is_last = ranks.rank() == ranks.ranks() - 1;
    if (is_last && how == "between_calls") throw std::runtime_error("the last rank has had enough");
    bn::Index channels = 5, columns = 5;
    if (is_last && how == "wrong_x") columns = 6;
    if (is_last && how == "other_channels") channels = columns = 6;
    if (is_last && how == "many_channels") channels = columns = 10'240;
    bn::BatchNorm<float> norm({.channels = channels});
    const Eigen::MatrixXf x = Eigen::MatrixXf::Random(8, columns);
    Eigen::MatrixXf y;
    norm.forward(x, y, {.across = &ranks});
  }
  MPI_Finalize();
}
