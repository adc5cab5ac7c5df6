#!/bin/sh
# sh tests/package/with_eigen.sh <folder of Eigen> [preset]
# Builds and runs the tests of the preset, or of `test`, with an unpacked Eigen instead of the installed one, in
# build/with_eigen. Tests of the package are left out: they are about an installed one.
set -eu

[ -e "${1:?the folder that has Eigen/Core}/Eigen/Core" ] || { echo "no $1/Eigen/Core" >&2; exit 2; }
eigen=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.."

cmake --preset "${2:-test}" -B build/with_eigen -DFETCHCONTENT_SOURCE_DIR_EIGEN3="$eigen"
cmake --build build/with_eigen
# Eigen 5 itself asserts what these two cases want the library to refuse.
ctest --test-dir build/with_eigen --output-on-failure --no-tests=error \
  --exclude-regex 'AnElementIsAMultipleOfItsAlignment|NoTensorMayLieAtAnOddAddress'
