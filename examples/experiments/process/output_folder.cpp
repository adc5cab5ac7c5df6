#include "experiments/process/output_folder.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <system_error>

namespace process {

void prepare_output_folder(const std::filesystem::path& folder) {
  const auto refuse = [&](const std::string& reason) {
    throw std::runtime_error("cannot write into the folder '" + folder.string() + "': " + reason);
  };
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) refuse(error.message());

  std::string trial = (folder / ".writable-XXXXXX").string();  // nobody's: mkstemp() makes a new file or none
  const int file = mkstemp(trial.data());
  if (file < 0) refuse(std::strerror(errno));
  const bool is_written = write(file, "\n", 1) == 1;
  const int reason = errno;
  close(file);
  std::filesystem::remove(trial, error);
  if (!is_written) refuse(std::strerror(reason));
}

}  // namespace process
