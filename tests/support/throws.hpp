/// \file
/// What a wrong call throws, and what it says.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
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
testing::AssertionResult has_these_parts(const std::string& message, std::initializer_list<std::string_view> parts);
template <class... Parts>
testing::AssertionResult has_parts(const std::string& message, const Parts&... parts) {
  return has_these_parts(message, {std::string_view(parts)...});
}

}  // namespace testing_support
