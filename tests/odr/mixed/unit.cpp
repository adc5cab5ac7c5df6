// Compiled once as `plain` and once as `native`, with other flags. No Eigen object of its own: those are shared, too.
#include "unit.hpp"

#include <batchnorm/batchnorm.hpp>
#include <cstring>

namespace bn = batchnorm;

struct Network {
  bn::BatchNorm<float> norm{{.channels = x_channels}};
};

namespace {

using Map = Eigen::Map<Eigen::MatrixXf>;
using ConstMap = Eigen::Map<const Eigen::MatrixXf>;

template <class Body>
void report(Result& result, const Body& body) {
  try {
    body(Map(result.y, x_rows, x_channels));
  } catch (const std::invalid_argument& error) {
    std::strncpy(result.error, error.what(), sizeof(result.error) - 1);
  }
}

void layer(const Values& x, Result& result) {
  report(result, [&](Map y) {
    bn::BatchNorm<float> norm({.channels = x_channels});
    norm.forward(ConstMap(x, x_rows, x_channels), y);
  });
}

void functions(const Values& x, Result& result) {
  report(result, [&](Map y) {
    const bn::AffineParameters<float> affine(x_channels);
    bn::Moments moments;
    bn::train_forward(ConstMap(x, x_rows, x_channels), affine, 1e-5, y, moments);
  });
}

void use(Network& network, const Values& x, Result& result) {
  report(result, [&](Map y) { network.norm.forward(ConstMap(x, x_rows, x_channels), y); });
}

void lend(void (*borrower)(Network&, const Values&, Result&), const Values& x, Result& result) {
  report(result, [&](Map) {
    Network network;
    borrower(network, x, result);
  });
}

}  // namespace

const Unit& UNIT() {
  static constexpr Unit unit{BATCHNORM_TEXT(BATCHNORM_ABI), layer, functions, lend, use};
  return unit;
}
