#include "measuring/machine.hpp"

#include <Eigen/Core>
#include <ctime>
#include <fstream>
#include <thread>

#include "caches.hpp"

namespace benchmarks {
namespace {

/// The vendor's name for it is not always telling (a virtual machine's may be "AMD EPYC"), so family and model follow.
std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  std::string name = "unknown", family, model;
  for (std::string line; std::getline(file, line) && !line.empty();) {
    const auto read = [&](const std::string& key, std::string& value) {
      const std::size_t colon = line.find(": ");
      if (colon != std::string::npos && line.substr(0, line.find('\t')) == key) value = line.substr(colon + 2);
    };
    read("model name", name);
    read("cpu family", family);
    read("model", model);
  }
  if (!family.empty()) name += " (family " + family + ", model " + model + ")";
  return name + ", " + std::to_string(std::thread::hardware_concurrency()) + " logical cores";
}

std::string caches() {
  const auto size = [](int level) {
    const std::ptrdiff_t bytes = cache_bytes(level);
    return bytes > 0 ? std::to_string(bytes / 1024) + "K" : "unknown";
  };
  const std::string guess = cache_bytes(2) > 0 ? "" : " (taken for " + std::to_string(l2_bytes() / 1024) + "K)";
  return "L1d " + size(1) + ", L2 " + size(2) + guess + ", L3 " + size(3);
}

std::string compiler() {
#ifdef __clang__
  return __VERSION__;
#else
  return "g++ " __VERSION__;
#endif
}

std::string flags() {
  std::string text = BENCHMARKS_FLAGS;
  if (text.empty()) text = "none";
#ifndef __OPTIMIZE__
  text += " - WITHOUT OPTIMIZATION: these times say nothing";
#endif
#ifndef NDEBUG
  text += " - with assertions";
#endif
  return text;
}

std::string date() {
  const std::time_t now = std::time(nullptr);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", std::localtime(&now));
  return text;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> describe_machine() {
  return {
      {"processor", processor()},
      {"caches", caches()},
      {"compiler", compiler()},
      {"flags", flags()},
      {"SIMD", Eigen::SimdInstructionSetsInUse()},
      {"date", date()},
  };
}

}  // namespace benchmarks
