/// \file
/// Ranks over MPI: a batch in parts on several processes or machines.
#pragma once

#include <batchnorm/core/reducer.hpp>

#include <mpi.h>

#include <algorithm>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace batchnorm {
inline namespace BATCHNORM_ABI {
namespace mpi {

/// What MPI says went wrong, where the communicator's error handler lets it return; MPI's own ends the job.
class MpiError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The processes of a communicator: `norm.forward(x, y, {.across = &ranks})`. They talk through a duplicate of it, so
/// that what they say mixes with nothing else.
///
/// A rank whose call throws tells the others, as Reducer has it. One that ends for any other reason should take them
/// along: do not catch the exception, or call MPI_Abort where you do; they would wait in MPI_Allgather for ever.
///
/// Cost     gather: one MPI_Allgather of 64 doubles from each rank, and one of the rest if n > 63
/// Threads  one call at a time, from a thread that MPI_Init_thread allows
class Ranks final : public Reducer {
 public:
  /// All processes of the communicator make one at the same time, and end it before MPI_Finalize.
  ///
  /// Throws   MpiError before MPI_Init or after MPI_Finalize
  explicit Ranks(MPI_Comm communicator = MPI_COMM_WORLD) : Reducer(size_of(communicator)) {
    check(MPI_Comm_dup(communicator, &communicator_), "MPI_Comm_dup");
    check(MPI_Comm_rank(communicator_, &rank_), "MPI_Comm_rank");
  }
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;
  ~Ranks() override {
    if (is_running()) MPI_Comm_free(&communicator_);
  }

  /// The number of this one, from 0.
  int rank() const { return rank_; }

  /// See Reducer::gather.
  ///
  /// Throws   MpiError if that fails, or if another rank came with a number of numbers of its own; then in all calls
  ///          after
  void gather(std::span<const double> mine, std::span<double> all) const override {
    if (all.size() != mine.size() * static_cast<std::size_t>(ranks()) || mine.size() > most_numbers) {
      detail::fail("mpi::Ranks::gather(all): expected room for ", mine.size(), " numbers of each of ", ranks(),
                   " ranks, and at most ", most_numbers, " of each, got room for ", all.size());
    }
    if (has_failed_) {
      detail::fail_as<MpiError>(
          "mpi::Ranks: expected ranks in step, but a call before has failed, whose messages may "
          "still arrive; make new Ranks");
    }
    has_failed_ = true;
    // The size goes ahead in a message that is as long on all ranks: MPI may write anywhere when one brings more than
    // another expects.
    const std::size_t early = std::min(mine.size(), first_numbers - 1);
    sent_.assign(first_numbers, 0);
    sent_[0] = static_cast<double>(mine.size());
    std::copy_n(mine.begin(), early, sent_.begin() + 1);
    exchange();
    for (std::size_t rank = 0; rank < static_cast<std::size_t>(ranks()); ++rank) {
      const double* const from = got_.data() + rank * first_numbers;
      if (from[0] != sent_[0]) {
        detail::fail_as<MpiError>("mpi::Ranks: expected ", mine.size(), " numbers of each rank, got ", from[0],
                                  " of rank ", rank, ", counted from 0; all ranks need layers of the same channels");
      }
      std::copy_n(from + 1, early, all.data() + rank * mine.size());
    }
    if (early < mine.size()) {
      sent_.assign(mine.begin() + static_cast<std::ptrdiff_t>(early), mine.end());
      exchange();
      for (std::size_t rank = 0; rank < static_cast<std::size_t>(ranks()); ++rank) {
        std::copy_n(got_.data() + rank * sent_.size(), sent_.size(), all.data() + rank * mine.size() + early);
      }
    }
    has_failed_ = false;
  }

 private:
  static constexpr std::size_t most_numbers = std::numeric_limits<int>::max(), first_numbers = 64;

  /// Sends sent_ to all ranks and gets theirs, in their order.
  void exchange() const {
    got_.resize(sent_.size() * static_cast<std::size_t>(ranks()));
    const int count = static_cast<int>(sent_.size());
    check(MPI_Allgather(sent_.data(), count, MPI_DOUBLE, got_.data(), count, MPI_DOUBLE, communicator_),
          "MPI_Allgather");
  }

  static bool is_running() {
    int begun = 0, ended = 0;
    MPI_Initialized(&begun);
    MPI_Finalized(&ended);
    return begun && !ended;
  }

  static int size_of(MPI_Comm communicator) {
    if (!is_running()) detail::fail_as<MpiError>("mpi::Ranks: expected MPI to run: call MPI_Init first");
    int size = 0;
    check(MPI_Comm_size(communicator, &size), "MPI_Comm_size");
    return size;
  }

  static void check(int code, const char* function) {
    if (code == MPI_SUCCESS) return;
    char text[MPI_MAX_ERROR_STRING];
    int length = 0;
    MPI_Error_string(code, text, &length);
    detail::fail_as<MpiError>("mpi::Ranks: ", function, " failed: ", std::string(text, std::size_t(length)));
  }

  MPI_Comm communicator_ = MPI_COMM_NULL;
  int rank_ = 0;
  /// Kept for their storage, and because MPI may still write to it after a failure.
  mutable std::vector<double> sent_, got_;
  mutable bool has_failed_ = false;
};

}  // namespace mpi
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
