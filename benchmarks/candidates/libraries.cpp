#include <batchnorm/batchnorm.hpp>

#include "candidates/candidate.hpp"

namespace benchmarks {
namespace {

std::string version(int major, int minor, int patch) {
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
}

}  // namespace

std::vector<Library> libraries() {
  return {
      {"batchnorm", version(BATCHNORM_VERSION_MAJOR, BATCHNORM_VERSION_MINOR, BATCHNORM_VERSION_PATCH),
       batchnorm_candidates},
      {"limit", "", limit_candidates},
      {"plain", "", plain_candidates},
      {"naive", version(EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION, EIGEN_MINOR_VERSION), naive_candidates},
#ifdef BENCHMARKS_HAVE_ONEDNN
      {"onednn", onednn_version(), onednn_candidates},
#endif
#ifdef BENCHMARKS_HAVE_LIBTORCH
      {"libtorch", libtorch_version(), libtorch_candidates},
#endif
  };
}

}  // namespace benchmarks
