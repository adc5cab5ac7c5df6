#include "throws.hpp"

namespace testing_support {

testing::AssertionResult has_these_parts(const std::string& message, std::initializer_list<std::string_view> parts) {
  if (!message.starts_with("batchnorm: "))
    return testing::AssertionFailure() << "does not start with 'batchnorm: ': " << message;
  std::size_t position = 0;
  for (const std::string_view part : parts) {
    position = message.find(part, position);
    if (position == std::string::npos)
      return testing::AssertionFailure() << "'" << part << "' is missing, or out of order: " << message;
    position += part.size();
  }
  return testing::AssertionSuccess();
}

}  // namespace testing_support
