#include <batchnorm/adapters/mpi.hpp>
#include <batchnorm/batchnorm.hpp>

// Without mpirun this is a job of one rank.
int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  bool is_good = false;
  {
    const batchnorm::mpi::Ranks ranks;
    batchnorm::BatchNorm<float> norm({.channels = 2});
    const Eigen::MatrixXf x = Eigen::MatrixXf::Random(8, 2);
    Eigen::MatrixXf y;
    norm.forward(x, y, {.across = &ranks});
    is_good = norm.moments().count == 8 * ranks.ranks();
  }
  MPI_Finalize();
  return is_good ? 0 : 1;
}
