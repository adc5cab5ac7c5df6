// main <refused|works> <layer|functions|lend> <plain|native>: runs the program's two units, the named one first, and
// holds what became of both against the formula or the promised error.
#include "unit.hpp"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>

namespace {

constexpr int skipped = 77;  // SKIP_RETURN_CODE

/// The largest |y - (x - mean) / sqrt(variance + 1e-5)|, or NaN.
double largest_error(const Values& x, const Values& y) {
  double largest = 0;
  for (int c = 0; c < x_channels; ++c) {
    const float *column = x + c * x_rows, *result = y + c * x_rows;
    double mean = 0, variance = 0;
    for (int n = 0; n < x_rows; ++n) mean += column[n] / double(x_rows);
    for (int n = 0; n < x_rows; ++n) variance += (column[n] - mean) * (column[n] - mean) / x_rows;
    for (int n = 0; n < x_rows; ++n) {
      const double error = std::fabs(result[n] - (column[n] - mean) / std::sqrt(variance + 1e-5));
      if (std::isnan(error)) return error;
      largest = std::fmax(largest, error);
    }
  }
  return largest;
}

bool as_promised(bool refused, const Values& x, const Result& result) {
  const char *error = result.error, *separator = refused ? std::strstr(error, " and of ") : nullptr;
  if (separator != nullptr) {
    // One before, one after: which unit is on record first is up to the linker.
    const char *a = std::strstr(error, plain().abi), *b = std::strstr(error, native().abi);
    if (a != nullptr && b != nullptr && (a < separator) != (b < separator) && std::strstr(error, "-march") != nullptr) {
      return true;
    }
  } else if (!refused && error[0] == '\0' && largest_error(x, result.y) < 1e-6) {
    return true;
  }
  std::printf("expected %s, got error \"%s\" and y[0] = %g\n", refused ? "an error that names both units" : "y", error,
              static_cast<double>(result.y[0]));
  return false;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 4) return 2;
  const bool refused = std::string(arguments[1]) == "refused";
  const std::string how = arguments[2];
  const bool plain_first = std::string(arguments[3]) == "plain";
  const Unit &first = plain_first ? plain() : native(), &second = plain_first ? native() : plain();
  if (std::strcmp(first.abi, second.abi) == 0) {
    std::printf("skipped: for this machine -march=native is %s, as without it\n", first.abi);
    return skipped;
  }

  Values x;
  for (int i = 0; i < x_rows * x_channels; ++i) x[i] = static_cast<float>((i * 37) % 101);
  Result results[2];
  if (how == "layer") {
    first.layer(x, results[0]);
    second.layer(x, results[1]);
  } else if (how == "functions") {
    first.functions(x, results[0]);
    second.functions(x, results[1]);
  } else {
    first.lend(second.use, x, results[0]);
    second.lend(first.use, x, results[1]);
  }
  const bool one = as_promised(refused, x, results[0]), other = as_promised(refused, x, results[1]);
  return one && other ? 0 : 1;
}
