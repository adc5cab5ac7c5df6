# Every dependency is looked for in the same order: a target that the parent project already made, an installed
# package, and only then a pinned download. -DFETCHCONTENT_FULLY_DISCONNECTED=ON forbids the last.
include(FetchContent)

macro(batchnorm_dependency name target)
  if(NOT TARGET ${target})
    FetchContent_Declare(${name} SYSTEM ${ARGN})
    FetchContent_MakeAvailable(${name})
  endif()
endmacro()

# Header-only dependencies are unpacked and not configured (SOURCE_SUBDIR names no folder), so that their
# own tests and install rules stay out of this build; their target is made here, imported like an installed one.
function(batchnorm_imported_headers target directory)
  if(NOT TARGET ${target})
    add_library(${target} INTERFACE IMPORTED GLOBAL)
    target_include_directories(${target} INTERFACE ${directory})
  endif()
endfunction()

# Eigen: asked for without a version, then checked. 3.4.0 refuses version ranges, and a request for 3.4 refuses 5.x.
set(BATCHNORM_EIGEN_MINIMUM 3.4.0)
batchnorm_dependency(Eigen3 Eigen3::Eigen
  URL https://gitlab.com/libeigen/eigen/-/archive/3.4.0/eigen-3.4.0.tar.gz
  URL_HASH SHA256=8586084f71f9bde545ee7fa6d00288b264a2b7ac3607b974e54d13e7162c1c72
  SOURCE_SUBDIR headers-only
  FIND_PACKAGE_ARGS CONFIG)
if(Eigen3_FOUND AND Eigen3_VERSION VERSION_LESS BATCHNORM_EIGEN_MINIMUM)
  message(FATAL_ERROR
    "batchnorm needs Eigen ${BATCHNORM_EIGEN_MINIMUM} or newer, found ${Eigen3_VERSION} in ${Eigen3_DIR}")
endif()
batchnorm_imported_headers(Eigen3::Eigen "${eigen3_SOURCE_DIR}")

if(BATCHNORM_BUILD_TESTS)
  set(INSTALL_GTEST OFF)
  batchnorm_dependency(googletest GTest::gtest_main
    URL https://github.com/google/googletest/archive/refs/tags/v1.14.0.tar.gz
    URL_HASH SHA256=8ad598c73ad796e0d8280b082cebd82a630d73e73cd3c70057938a6501bba5d7
    FIND_PACKAGE_ARGS NAMES GTest)
endif()

if(BATCHNORM_BUILD_BENCHMARKS)
  set(BENCHMARK_ENABLE_TESTING OFF)
  set(BENCHMARK_ENABLE_INSTALL OFF)
  batchnorm_dependency(benchmark benchmark::benchmark_main
    URL https://github.com/google/benchmark/archive/refs/tags/v1.8.3.tar.gz
    URL_HASH SHA256=6bc180a57d23d4d9515519f92b0c83d61b05b5bab188961f36ac7b06b0d9e9ce
    FIND_PACKAGE_ARGS CONFIG)
endif()

if(BATCHNORM_BUILD_EXAMPLES OR BATCHNORM_BUILD_BENCHMARKS)
  batchnorm_dependency(CLI11 CLI11::CLI11
    URL https://github.com/CLIUtils/CLI11/archive/refs/tags/v2.3.2.tar.gz
    URL_HASH SHA256=aac0ab42108131ac5d3344a9db0fdf25c4db652296641955720a4fbe52334e22
    SOURCE_SUBDIR headers-only
    FIND_PACKAGE_ARGS CONFIG)
  batchnorm_imported_headers(CLI11::CLI11 "${cli11_SOURCE_DIR}/include")
endif()

if(BATCHNORM_SAFETENSORS)
  batchnorm_dependency(nlohmann_json nlohmann_json::nlohmann_json
    URL https://github.com/nlohmann/json/archive/refs/tags/v3.11.2.tar.gz
    URL_HASH SHA256=d69f9deb6a75e2580465c6c4c5111b89c4dc2fa94e3a85fcd2ffcd9a143d9273
    SOURCE_SUBDIR headers-only
    FIND_PACKAGE_ARGS CONFIG)
  batchnorm_imported_headers(nlohmann_json::nlohmann_json "${nlohmann_json_SOURCE_DIR}/include")
endif()

if(BATCHNORM_MPI)
  set(MPI_CXX_SKIP_MPICXX ON)  # its old C++ interface
  find_package(MPI REQUIRED COMPONENTS CXX)
  # Open MPI starts nothing for root, nor more processes than there are cores, unless it is told to.
  set(BATCHNORM_MPI_ENVIRONMENT
    OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1)
endif()

if(BATCHNORM_BUILD_EXAMPLES)
  find_package(ZLIB REQUIRED)
endif()

if(BATCHNORM_BUILD_TESTS OR BATCHNORM_BUILD_EXAMPLES OR BATCHNORM_BUILD_BENCHMARKS)
  set(THREADS_PREFER_PTHREAD_FLAG ON)
  find_package(Threads REQUIRED)
endif()
