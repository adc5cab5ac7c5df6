#include "everything.hpp"

int main() {
  bn::BatchNorm<float> layer({.channels = 3});
  return use_layer(layer);
}
