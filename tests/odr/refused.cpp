// Makes a layer without channels.
#include <batchnorm/batchnorm.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>

int main() {
  std::signal(SIGABRT, [](int) {
    std::puts("aborted");
    std::fflush(stdout);
    std::_Exit(0);
  });
  const batchnorm::BatchNorm<float> layer({.channels = 0});
}
