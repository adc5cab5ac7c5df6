/// \file
/// How a wrong call is reported, and a program of units that do not go together.
#pragma once

#include <batchnorm/base/abi.hpp>

#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <ostream>
#include <sstream>
#include <stdexcept>
#include <string>

namespace batchnorm {
inline namespace BATCHNORM_ABI {
namespace detail {

/// False for whatever Ts: for a static_assert that fires only where a template is instantiated.
template <class... Ts>
inline constexpr bool always_false = false;

/// A part of a message, seen without its type: so what prints a message is compiled once, not for each list of types.
class MessagePart {
 public:
  template <std::size_t Size>
  EIGEN_ALWAYS_INLINE MessagePart(const char (&text)[Size]) : part_(text), print_(print_text) {}
  template <class T>
  EIGEN_ALWAYS_INLINE MessagePart(const T& part)
      : part_(&part), print_([](std::ostream& out, const void* of) { out << *static_cast<const T*>(of); }) {}

  void print(std::ostream& out) const { print_(out, part_); }

 private:
  static void print_text(std::ostream& out, const void* text) { out << static_cast<const char*>(text); }

  const void* part_;
  void (*print_)(std::ostream&, const void*);
};

/// Throws Error("batchnorm: " followed by the parts); where exceptions are off, prints that and aborts.
template <class Error>
[[noreturn]] EIGEN_DONT_INLINE void fail_with(std::initializer_list<MessagePart> parts) {
  std::ostringstream message;
  message << "batchnorm: ";
  for (const MessagePart& part : parts) part.print(message);
#if defined(__cpp_exceptions)
  throw Error(message.str());
#else
  std::fputs((message.str() + "\n").c_str(), stderr);
  std::abort();
#endif
}
template <class Error, class... Parts>
[[noreturn]] EIGEN_ALWAYS_INLINE void fail_as(const Parts&... parts) {
  fail_with<Error>({parts...});
}
/// The same for a wrong call.
template <class... Parts>
[[noreturn]] EIGEN_ALWAYS_INLINE void fail(const Parts&... parts) {
  fail_as<std::invalid_argument>(parts...);
}

/// Throws unless all units of the program that use the library were compiled for the same instruction set and
/// alignment; puts this one on record (base/abi.hpp). Comes before a call touches any object of Eigen's.
EIGEN_DONT_INLINE inline void check_program(const char* call) {
  [[maybe_unused]] const void* const on_record = &unit_record<>;
  const char* const other = program_record::other_unit.load(std::memory_order_relaxed);
  if (other == nullptr) [[likely]]
    return;
  fail(call, ": expected all units of the program to share one instruction set and one alignment, got units of ",
       program_record::first_unit.load(), " and of ", other,
       ", which would use each other's copies of Eigen's functions; compile all units with the same -march and "
       "EIGEN_MAX_ALIGN_BYTES, or put them into shared libraries with -fvisibility=hidden");
}

/// The number of channels of state that is about to be made.
inline Eigen::Index state_size(const char* state, Eigen::Index channels) {
  check_program(state);
  if (channels < 0) fail(state, "(channels): expected a number of channels, got ", channels);
  return channels;
}

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
