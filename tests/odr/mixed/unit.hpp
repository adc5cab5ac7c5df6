// What each of two units that are compiled with different flags offers a program that does not use the library itself.
#pragma once

constexpr int x_rows = 33, x_channels = 7;

/// A column-major matrix of x_rows x x_channels.
using Values = float[x_rows * x_channels];

/// What became of a call: y was written, or `error` holds what was thrown.
struct Result {
  Values y = {};
  char error[1000] = "";
};

/// A struct of a user's that has a layer as a member; only the units know what is in it.
struct Network;

struct Unit {
  /// What the unit was compiled for.
  const char* abi;
  /// Normalizes x by a layer of its own.
  void (*layer)(const Values& x, Result& result);
  /// Normalizes x by the functions with explicit state.
  void (*functions)(const Values& x, Result& result);
  /// Normalizes x by the layer in a struct that this unit makes and lends to `use`, the other unit's.
  void (*lend)(void (*use)(Network& network, const Values& x, Result& result), const Values& x, Result& result);
  void (*use)(Network& network, const Values& x, Result& result);
};

[[gnu::visibility("default")]] const Unit& plain();
[[gnu::visibility("default")]] const Unit& native();
