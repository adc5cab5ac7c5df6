#include <gtest/gtest.h>

#include <batchnorm/base/each.hpp>
#include <memory>
#include <string>

namespace each_test {

using batchnorm::detail::each;
using batchnorm::detail::joined;
using batchnorm::detail::unpack;

TEST(Each, GivesWhatTheFunctionMakesOfEachInOrder) {
  EXPECT_EQ(each(std::array{3, 1, 2}, [](int value) { return std::string(std::size_t(value), 'a'); }),
            (std::array<std::string, 3>{"aaa", "a", "aa"}));
}

TEST(Unpack, HandsAllOfThemToOneCall) {
  EXPECT_EQ(unpack(std::array{1, 2, 3}, [](int a, int b, int c) { return 100 * a + 10 * b + c; }), 123);
  EXPECT_EQ(unpack(std::array{7}, [](const auto&... values) { return sizeof...(values); }), 1u);
}

TEST(Unpack, CopiesNone) {
  const std::array<std::unique_ptr<int>, 2> pointers{std::make_unique<int>(4), std::make_unique<int>(5)};
  EXPECT_EQ(unpack(pointers, [](const auto& a, const auto& b) { return *a + *b; }), 9);
}

TEST(Joined, HasThoseOfTheFirstBeforeThoseOfTheSecond) {
  EXPECT_EQ(joined(std::array{1, 2}, std::array{3, 4}), (std::array{1, 2, 3, 4}));
}

}  // namespace each_test
