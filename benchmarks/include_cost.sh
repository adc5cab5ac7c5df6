#!/bin/sh
# What including the library costs: seconds of processor time to compile a file that includes nothing but
# <batchnorm/batchnorm.hpp>, and one that includes nothing but <Eigen/Core>. The two take turns; shown are medians.
#
#   sh benchmarks/include_cost.sh [turns]        default 7; CXX and EIGEN_INCLUDE_DIR say what to compile with
set -eu

turns=${1:-7}
compiler=${CXX:-g++}
eigen=${EIGEN_INCLUDE_DIR:-/usr/include/eigen3}
include=$(cd "$(dirname "$0")/../include" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

echo '#include <batchnorm/batchnorm.hpp>' >"$folder/batchnorm.cpp"
echo '#include <Eigen/Core>' >"$folder/eigen.cpp"

# Milliseconds that all compilers so far have taken. Not in a pipe: a subshell has other children.
milliseconds() {
  times >"$folder/clock"
  awk 'NR == 2 { split($1 "m" $2, t, /[ms]+/); printf "%d\n", 1000 * (60 * (t[1] + t[3]) + t[2] + t[4]) }' "$folder/clock"
}

# compile <name> <flags>...: appends the milliseconds to <name>.times
compile() {
  name=$1
  shift
  milliseconds >"$folder/start"
  "$compiler" -std=c++20 -I "$include" -isystem "$eigen" "$@" -c "$folder/$name.cpp" -o "$folder/$name.o"
  milliseconds >"$folder/end"
  paste "$folder/start" "$folder/end" | awk '{ print $2 - $1 }' >>"$folder/$name.times"
}

median() { sort -n "$folder/$1.times" | awk '{ t[NR] = $1 } END { print t[int((NR + 1) / 2)] }'; }

# compare <title> <flags>...
compare() {
  title=$1
  shift
  compile batchnorm "$@"  # warms the file cache
  rm -f "$folder"/*.times
  turn=0
  while [ "$turn" -lt "$turns" ]; do
    compile eigen "$@"
    compile batchnorm "$@"
    turn=$((turn + 1))
  done
  ours=$(median batchnorm)
  eigens=$(median eigen)
  printf '%-14s batchnorm %5d ms   Eigen/Core %5d ms   difference %5d ms\n' "$title" "$ours" "$eigens" $((ours - eigens))
}

"$compiler" --version | head -n 1
compare '-fsyntax-only' -fsyntax-only
compare '-O0' -O0
compare '-O2' -O2
