/// \file
/// What a wrong call throws, and what it says.
#pragma once

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <typeinfo>

namespace testing_support {

/// The text of the Error that call() throws; a test failure and an empty text if it throws none.
template <class Error = std::invalid_argument, class Call>
std::string message_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "expected " << typeid(Error).name() << ", nothing was thrown";
  return {};
}

/// Whether the text begins with the library's name and has all the parts, in this order.
template <class... Parts>
testing::AssertionResult has_parts(const std::string& message, const Parts&... parts) {
  if (!message.starts_with("batchnorm: "))
    return testing::AssertionFailure() << "does not start with 'batchnorm: ': " << message;
  std::size_t position = 0;
  for (const std::string& part : {std::string(parts)...}) {
    position = message.find(part, position);
    if (position == std::string::npos)
      return testing::AssertionFailure() << "'" << part << "' is missing, or out of order: " << message;
    position += part.size();
  }
  return testing::AssertionSuccess();
}

}  // namespace testing_support
