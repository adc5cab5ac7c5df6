#include "experiments/process/output_folder.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <system_error>

namespace process {

void prepare_output_folder(const std::filesystem::path& folder) {
  const auto refuse = [&](const std::string& reason) {
    throw std::runtime_error("cannot write into the output folder '" + folder.string() + "': " + reason);
  };
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) refuse(error.message());

  std::string trial = folder / "writable-XXXXXX";  // a name that nobody has
  const int file = mkstemp(trial.data());
  const bool is_written = file >= 0 && write(file, "\n", 1) == 1;
  if (!is_written) error.assign(errno, std::generic_category());
  if (file >= 0) {
    close(file);
    unlink(trial.c_str());
  }
  if (!is_written) refuse(error.message());
}

}  // namespace process
