#!/bin/sh
# Installs what the presets `test` and `figure1` need and this machine lacks; with --bench also what the preset `bench`
# needs, with --mpi what the presets `mpi` and `distributed` need, with --ci what .ci/run needs.
# Does nothing, and needs no root, when all is there. Looks for the things themselves, whoever installed them.
set -eu

case "$*" in
  "") bench=false mpi=false ci=false ;;
  --bench) bench=true mpi=false ci=false ;;
  --mpi) bench=false mpi=true ci=false ;;
  --ci) bench=true mpi=true ci=true ;;
  *) echo "usage: sh cmake/setup.sh [--bench | --mpi | --ci]" >&2; exit 2 ;;
esac

found() { command -v "$1" >/dev/null 2>&1; }

for manager in apt-get dnf brew none; do
  if found $manager; then break; fi
done
for compiler in c++ g++ clang++ none; do
  if found $compiler; then break; fi
done
prefix=/usr
if [ $manager = brew ]; then prefix=$(brew --prefix); fi

has_header() {
  echo "#include <$1>" | $compiler -x c++ -E -I "$prefix/include" -I "$prefix/include/eigen3" -
}
has_certificates() { [ -e /etc/ssl/certs/ca-certificates.crt ] || [ -e /etc/ssl/cert.pem ] || [ -e /etc/pki/tls/cert.pem ]; }
has_mpi() { found "$1" || [ -x "/usr/lib64/openmpi/bin/$1" ]; }  # there, `module load mpi` puts it on the path
has_thread_sanitizer() { echo 'int main() {}' | clang++ -x c++ -fsanitize=thread -o /dev/null -; }

# need <apt package> <dnf package> <brew package> <how to look for it>...    (- where the system brings it)
missing=""
need() {
  case $manager in
    dnf) package=$2 ;;
    brew) package=$3 ;;
    *) package=$1 ;;
  esac
  shift 3
  if [ "$package" != - ] && ! "$@" >/dev/null 2>&1; then missing="$missing $package"; fi
}

need g++              gcc-c++            -            found $compiler
need cmake            cmake              cmake        found cmake
need ninja-build      ninja-build        ninja        found ninja
need libeigen3-dev    eigen3-devel       eigen        has_header Eigen/Core
need libgtest-dev     gtest-devel        googletest   has_header gtest/gtest.h
need libcli11-dev     cli11-devel        cli11        has_header CLI/CLI.hpp
need nlohmann-json3-dev json-devel       nlohmann-json has_header nlohmann/json.hpp
need zlib1g-dev       zlib-devel         -            has_header zlib.h
need gnuplot-nox      gnuplot            gnuplot      found gnuplot
need ca-certificates  ca-certificates    -            has_certificates
if $bench; then
  need libbenchmark-dev   google-benchmark-devel google-benchmark has_header benchmark/benchmark.h
  need time               time                   -                test -x /usr/bin/time
fi
if $mpi; then
  need libopenmpi-dev     openmpi-devel          open-mpi         has_mpi mpicxx
  need openmpi-bin        openmpi                open-mpi         has_mpi mpirun
fi
if $ci; then
  need git                git                git               found git
  need pkg-config         pkgconf-pkg-config pkgconf           found pkg-config
  need clang              clang              -                 found clang++
  need libclang-rt-dev    compiler-rt        -                 has_thread_sanitizer
  need lld                lld                lld               found ld.lld
  need doxygen            doxygen            doxygen           found doxygen
  need clang-format       clang-tools-extra  clang-format      found clang-format
  need clang-tidy         clang-tools-extra  llvm              found clang-tidy
fi

give_up() { echo "setup: $*" >&2; exit 1; }

if [ -n "$missing" ]; then
  as_root=""
  if [ $manager = none ]; then
    give_up "no apt-get, dnf or brew here; please install (Debian's names):$missing"
  elif [ $manager != brew ] && [ "$(id -u)" != 0 ]; then
    found sudo || give_up "as root, please run: $manager install$missing"
    as_root=sudo
  fi

  echo "setup: installing$missing"
  # $missing is a list of words, $as_root may be none.
  case $manager in
    apt-get)
      $as_root apt-get update -q </dev/null || echo "setup: apt-get update failed; trying with the lists that are here" >&2
      $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing </dev/null ;;
    dnf) $as_root dnf install -y $missing </dev/null ;;
    brew) brew install $missing </dev/null ;;
  esac || give_up "could not install:$missing"
fi

version=$(cmake --version | sed -n '1s/[^0-9]*\([0-9]*\)\.\([0-9]*\).*/\1 \2/p')
if [ "${version% *}" -lt 3 ] || { [ "${version% *}" -eq 3 ] && [ "${version#* }" -lt 25 ]; }; then
  give_up "cmake is older than 3.25, which the presets need: $(cmake --version | head -n 1); newer ones: https://cmake.org/download"
fi
echo "setup: all is there"
