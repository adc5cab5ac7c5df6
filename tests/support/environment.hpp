/// \file
/// Variables of the environment, for a test's time.
#pragma once

#include <cstdlib>
#include <optional>
#include <string>

namespace testing_support {

/// While it lives, a variable has another value, or none; then what it had before, whatever was thrown.
class Environment {
 public:
  explicit Environment(const char* name, const std::optional<std::string>& value = {}) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    set(value);
  }
  ~Environment() { set(before_); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  void set(const std::optional<std::string>& value) const {
    if (value) {
      setenv(name_, value->c_str(), 1);
    } else {
      unsetenv(name_);
    }
  }

 private:
  const char* name_;
  std::optional<std::string> before_;
};

}  // namespace testing_support
