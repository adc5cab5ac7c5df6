#include "experiments/process/output_folder.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <system_error>

namespace process {

void prepare_output_folder(const std::filesystem::path& folder) {
  const auto refuse = [&](const std::string& reason) {
    throw std::runtime_error("cannot write into the output folder '" + folder.string() + "': " + reason);
  };
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) refuse(error.message());

  const std::filesystem::path trial = folder / ".writable";
  errno = 0;
  if (!(std::ofstream(trial) << "\n" << std::flush)) refuse(std::strerror(errno));
  std::filesystem::remove(trial, error);
}

}  // namespace process
