#include "measuring/machine.hpp"

#include <Eigen/Core>
#include <ctime>
#include <fstream>
#include <thread>

namespace benchmarks {
namespace {

std::string first_line(const std::string& path) {
  std::string line;
  std::ifstream file(path);
  std::getline(file, line);
  return line.empty() ? "unknown" : line;
}

/// The vendor's name for it is not always telling (a virtual machine's may be "AMD EPYC"), so family and model follow.
std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  std::string name, family, model;
  for (std::string line; std::getline(file, line) && !line.empty();) {
    const auto value = [&](const char* key) { return line.rfind(key, 0) == 0 ? line.substr(line.find(':') + 2) : ""; };
    if (name.empty()) name = value("model name");
    if (family.empty()) family = value("cpu family");
    if (model.empty()) model = value("model\t");
  }
  const std::string cores = std::to_string(std::thread::hardware_concurrency());
  return name.empty() ? "unknown" : name + " (family " + family + ", model " + model + "), " + cores + " logical cores";
}

std::string caches() {
  const std::string folder = "/sys/devices/system/cpu/cpu0/cache/index";
  return "L1d " + first_line(folder + "0/size") + ", L2 " + first_line(folder + "2/size") + ", L3 " +
         first_line(folder + "3/size");
}

std::string compiler() {
#ifdef __clang__
  return __VERSION__;
#else
  return "g++ " __VERSION__;
#endif
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
      {"flags", BENCHMARKS_FLAGS},
      {"SIMD", Eigen::SimdInstructionSetsInUse()},
      {"date", date()},
  };
}

}  // namespace benchmarks
