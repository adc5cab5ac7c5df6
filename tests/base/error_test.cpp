#include <gtest/gtest.h>

#include <batchnorm/base/error.hpp>

#include "support/throws.hpp"

namespace error_test {

TEST(Error, IsAnInvalidArgumentThatNamesTheLibraryAndStreamsItsParts) {
  EXPECT_EQ(
      testing_support::message_of([] { batchnorm::detail::fail("infer(x): expected ", 64, " channels, got ", 0.5); }),
      "batchnorm: infer(x): expected 64 channels, got 0.5");
}

}  // namespace error_test
