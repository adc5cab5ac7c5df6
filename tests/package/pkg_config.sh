#!/bin/sh
# sh pkg_config.sh <compiler> <prefix> <version>
# Builds small.cpp as pkg-config says, here, and runs it. It asks a copy of the installation: that may be moved.
set -eu

skip() { echo "SKIPPED: $*"; exit 77; }
command -v pkg-config >/dev/null || skip "pkg-config is not installed"
pkg-config --exists eigen3 || skip "pkg-config knows no Eigen on this machine"

rm -rf moved
cp -R "$2" moved
PKG_CONFIG_PATH=$PWD/moved/share/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
export PKG_CONFIG_PATH
pkg-config --exact-version="$3" --print-errors batchnorm
flags=$(pkg-config --cflags batchnorm)
echo "$flags"
case $flags in
  *"$PWD/moved/"*) ;;
  *) echo "expected $PWD/moved/..."; exit 1 ;;
esac
"$1" -std=c++20 $flags "$(dirname "$0")/small.cpp" -o stranger
./stranger
