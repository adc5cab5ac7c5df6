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
    bn::BatchNorm<float> norm({.channels = is_last && how == "other_channels" ? 6 : 5});
    Eigen::MatrixXf x = Eigen::MatrixXf::Random(8, is_last && how != "between_calls" ? 6 : 5), y;
    norm.forward(x, y, {.across = &ranks});
  }
  MPI_Finalize();
}
