#!/bin/sh
# What the library costs to compile: seconds of processor time, memory, and the size of the program without symbols, of
# files that include nothing but a header, of a layer in two layouts, written by hand and ours, and of the quickstart. The
# files take turns; shown are medians.
#
#   sh benchmarks/include_cost.sh [turns]        default 7; CXX and EIGEN_INCLUDE_DIR say what to compile with
set -eu

turns=${1-7}
compiler=${CXX:-g++}
eigen=${EIGEN_INCLUDE_DIR:-/usr/include/eigen3}
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

give_up() { echo "include_cost: $*" >&2; exit 1; }
[ $# -le 1 ] || give_up "expected at most one argument, the number of turns, got $#: $*"
case $turns in
  "" | *[!0-9]* | 0*) give_up "expected a number of turns from 1 on, got '$turns'" ;;
esac
command -v "$compiler" >/dev/null || give_up "expected a compiler in CXX, got '$compiler'"
[ -e "$eigen/Eigen/Core" ] || give_up "expected a folder with Eigen/Core in EIGEN_INCLUDE_DIR, got '$eigen'"
[ -x /usr/bin/time ] || give_up "needs GNU time, as /usr/bin/time (Debian: the package time)"

# compile <file> <flags>...: appends seconds and kilobytes to the file's list of them.
compile() {
  file=$1
  shift
  name=$(basename "$file" .cpp)
  /usr/bin/time -f '%U %S %M' -a -o "$folder/$name.cost" \
    "$compiler" -std=c++20 -I "$here/../include" -isystem "$eigen" "$@" -o "$folder/$name" "$file"
}

# report <file> <flags>...: a line of the table.
report() {
  name=$(basename "$1" .cpp)
  shift
  printf '| %-12s | %-13s |' "$name" "$*"
  awk '{ print $1 + $2 }' "$folder/$name.cost" | sort -n | awk '{ t[NR] = $1 } END { printf " %5.2f s |", t[int((NR + 1) / 2)] }'
  awk '{ print $3 / 1024 }' "$folder/$name.cost" | sort -n | awk '{ t[NR] = $1 } END { printf " %4.0f MiB |", t[int((NR + 1) / 2)] }'
  if [ -s "$folder/$name" ]; then
    strip "$folder/$name"
    printf ' %4d KB |\n' $(($(wc -c <"$folder/$name") / 1000))
  else
    printf '       - |\n'
  fi
}

# compare "<flags>" <file>...
compare() {
  flags=$1
  shift
  rm -rf "$folder"/*
  turn=0
  while [ "$turn" -lt "$turns" ]; do
    for file in "$@"; do compile "$file" $flags; done
    turn=$((turn + 1))
  done
  for file in "$@"; do report "$file" $flags; done
}

programs=$here/include_cost
"$compiler" --version | head -n 1
echo '| file         | flags         | seconds |   memory |   size  |'
echo '|--------------|---------------|--------:|---------:|--------:|'
compare '-fsyntax-only' "$programs/eigen.cpp" "$programs/batchnorm.cpp"
for flags in -O0 -O2; do
  compare $flags "$programs/eigen.cpp" "$programs/batchnorm.cpp" "$programs/by_hand.cpp" "$programs/two_layouts.cpp" \
    "$here/../examples/quickstart.cpp"
done
