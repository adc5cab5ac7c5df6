/// \file
/// One way to solve a problem, in the form in which it is timed: a function without arguments.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace benchmarks {

struct Problem;

/// What a candidate does: the whole pass, or one of the two parts of which the limit is made.
enum class Work { pass, move, read };

struct Candidate {
  /// Whose it is: "oneDNN".
  std::string library;
  /// Which of several: "nChw16c". The first form of a library has the problem's own memory layout.
  std::string form = "";
  Work work = Work::pass;
  /// Solves the problem once. Whatever can be prepared has been prepared.
  std::function<void()> run;
  /// Brings what run() left to problem.out, dgamma and dbeta, if it is not there yet.
  std::function<void()> fetch = [] {};
};

/// The forms in which a library solves this problem with so many threads; none if it cannot.
using MakeCandidates = std::vector<Candidate>(Problem&, int threads);

/// A library, under the name that --without takes.
struct Library {
  std::string key, version;
  MakeCandidates* make;
};

MakeCandidates batchnorm_candidates, limit_candidates, plain_candidates, naive_candidates;
MakeCandidates onednn_candidates, libtorch_candidates;
std::string onednn_version(), libtorch_version();

/// How often the limit of a problem reads its inputs from main memory: see limit.cpp.
int readings(const Problem& problem, int threads);

/// All that was built, the library itself first.
std::vector<Library> libraries();

}  // namespace benchmarks
