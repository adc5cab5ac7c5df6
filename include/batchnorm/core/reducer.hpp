/// \file
/// Ranks, of which each has a part of a batch: processes, machines or threads, and how their statistics become one.
#pragma once

#include <batchnorm/base/device.hpp>
#include <batchnorm/core/gradient_sums.hpp>
#include <batchnorm/core/population_statistics.hpp>

#include <span>
#include <utility>
#include <vector>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

/// How ranks tell each other a few numbers for each channel: `norm.forward(x, y, {.across = &ranks})`. `mpi::Ranks` of
/// adapters/mpi.hpp does it over MPI; for other transports derive a class with a constructor and one function.
///
/// Calls across ranks are made by all of them alike: the same calls in the same order, on layers with the same options,
/// mode and state. Each has as many samples as it likes, none too. What a rank is told it merges in the order of ranks,
/// so that all come to the same bits.
///
/// Where a call throws on one rank before it has told its numbers, it throws on all, if the exception is caught
/// somewhere: nobody is left waiting. A call that tells no numbers, such as one in mode inference, has nobody to tell.
class Reducer {
 public:
  virtual ~Reducer() = default;

  /// How many there are, this one too.
  int ranks() const { return ranks_; }

  /// Puts the numbers of all ranks one behind the other, those of rank 0 first, when all have brought theirs. Each rank
  /// has as many of its own, not always the same number. Also called while an exception is on its way: what it throws
  /// then is lost.
  ///
  /// Shapes   mine: [n]; all: [ranks() n]
  /// Throws   what says why they did not come
  virtual void gather(std::span<const double> mine, std::span<double> all) const = 0;

 protected:
  /// Throws   std::invalid_argument unless there is one at least
  explicit Reducer(int ranks) : ranks_(ranks) {
    if (ranks < 1) detail::fail("Reducer(ranks): expected at least 1 rank, got ", ranks);
  }
  /// For those that derive from it.
  Reducer(const Reducer&) = default;
  /// Likewise.
  Reducer& operator=(const Reducer&) = default;

 private:
  int ranks_;
};

namespace detail {

/// What ranks tell each other in a meeting.
enum class Message { failure, moments, gradient_sums, population };

/// 0 where a call is not across ranks.
inline int ranks_of(const Reducer* across) { return across ? across->ranks() : 0; }

/// How many numbers that is.
inline std::size_t size_of(Message message, Index channels) {
  return static_cast<std::size_t>(message == Message::population ? 5 + 3 * channels : 2 + 2 * channels);
}

/// The one point of a call at which ranks meet. A rank that an exception drives out of the call before tells the
/// others, who throw in their turn: else they would wait for it for ever.
class Meeting {
 public:
  /// No rank meets another where `across` is null.
  Meeting(const char* call, const Reducer* across, Message message, Index channels)
      : call_(call), across_(across), channels_(channels) {
    if (!across) return;
    mine_.resize(size_of(message, channels));
    all_.resize(static_cast<std::size_t>(across->ranks()) * mine_.size());
  }
  Meeting(const Meeting&) = delete;
  Meeting& operator=(const Meeting&) = delete;
  ~Meeting() {
    if (across_ && !is_over_) exception_of([&] { meet(Message::failure); });
  }

  /// Whether ranks meet in this call.
  explicit operator bool() const { return across_ != nullptr; }

  /// Makes these the moments of all ranks' values.
  void merge(Moments& moments) {
    mine_[1] = moments.count;
    put(0, moments.mean);
    put(1, moments.m2);
    meet(Message::moments);
    Moments part(channels_), merged(channels_);
    for_each_rank([&](const double* numbers) {
      part.count = numbers[1];
      part.mean = values(numbers, 0);
      part.m2 = values(numbers, 1);
      merged.merge(part);
    });
    moments = std::move(merged);
  }

  /// Makes these the sums over all ranks' values; `count` is that of the whole batch, where that is known.
  void merge(GradientSums& sums, double count = 0) {
    mine_[1] = count;
    put(0, sums.dy);
    put(1, sums.dy_x);
    meet(Message::gradient_sums);
    for_each_rank([&](const double* numbers) {
      if (numbers[1] == count) return;
      fail(call_, "(across): expected all ranks to go back through the same batch, got one of ", count,
           " values per channel here, and one of ", numbers[1], " on another rank");
    });
    sums.set_zero(channels_);
    for_each_rank([&](const double* numbers) {
      sums.dy += values(numbers, 0);
      sums.dy_x += values(numbers, 1);
    });
  }

  /// Makes these the statistics of all ranks' batches.
  void merge(PopulationStatistics& population) {
    mine_[1] = population.all_.count;
    put(0, population.all_.mean);
    put(1, population.all_.m2);
    put(2, population.variance_);
    mine_[mine_.size() - 3] = code_of(population.options());
    mine_[mine_.size() - 2] = static_cast<double>(population.batches_);
    mine_[mine_.size() - 1] = static_cast<double>(population.skipped_);
    meet(Message::population);
    for_each_rank([&](const double* numbers) {
      if (numbers[mine_.size() - 3] == mine_[mine_.size() - 3]) return;
      fail(call_, "(across): expected the same options on all ranks, got others on another rank; construct all alike");
    });
    PopulationStatistics part(channels_, population.options()), merged = part;
    for_each_rank([&](const double* numbers) {
      part.all_.count = numbers[1];
      part.all_.mean = values(numbers, 0);
      part.all_.m2 = values(numbers, 1);
      part.variance_ = values(numbers, 2);
      part.batches_ = static_cast<std::int64_t>(numbers[mine_.size() - 2]);
      part.skipped_ = static_cast<std::int64_t>(numbers[mine_.size() - 1]);
      merged.merge(part);
    });
    population = std::move(merged);
  }

 private:
  using Values = Eigen::Map<const Eigen::ArrayXd>;

  /// Differs where options do.
  static double code_of(const PopulationOptions& options) {
    int code = static_cast<int>(options.running_variance);
    code = 10 * code + static_cast<int>(options.non_finite);
    code = 10 * code + static_cast<int>(options.single_value);
    return 10 * code + static_cast<int>(options.variance);
  }

  /// After what it is, and how many values are behind it, a message has rows of a number for each channel.
  void put(Index row, const Eigen::ArrayXd& numbers) {
    if (numbers.size() != channels_) {
      fail(call_, ": expected ", channels_, " channels in all that is merged, got ", numbers.size());
    }
    std::copy_n(numbers.data(), channels_, mine_.data() + 2 + row * channels_);
  }
  Values values(const double* numbers, Index row) const { return Values(numbers + 2 + row * channels_, channels_); }

  template <class Take>
  void for_each_rank(const Take& take) const {
    for (std::size_t begin = 0; begin < all_.size(); begin += mine_.size()) take(all_.data() + begin);
  }

  void meet(Message message) {
    is_over_ = true;
    mine_[0] = static_cast<double>(message);
    across_->gather(mine_, all_);
    if (message == Message::failure) return;
    int rank = 0;
    for_each_rank([&](const double* numbers) {
      if (numbers[0] == static_cast<double>(Message::failure)) {
        fail_as<std::runtime_error>(call_, "(across): expected all ", across_->ranks(), " ranks, but rank ", rank,
                                    ", counted from 0, has left the call with an exception: see its message; no state "
                                    "has changed here");
      }
      ++rank;
    });
    for_each_rank([&](const double* numbers) {
      if (numbers[0] == static_cast<double>(message)) return;
      fail(call_, "(across): expected all ranks to make the same calls, got another one than this on another rank");
    });
  }

  const char* call_;
  const Reducer* across_;
  Index channels_;
  bool is_over_ = false;
  std::vector<double> mine_, all_;
};

}  // namespace detail

/// Merges parts of all ranks in the order of ranks: all have the same bits of the whole afterwards. These are the
/// moments of all values, for statistics().
///
/// Shapes   moments: [C], the same C on all ranks
/// Cost     one gather of 2 C + 2 numbers
/// Throws   std::invalid_argument if sizes differ, std::runtime_error if a rank comes with an exception instead, and
///          what Reducer::gather throws; nothing has changed then
inline void all_reduce(Moments& moments, const Reducer& across) {
  detail::Meeting("all_reduce", &across, detail::Message::moments, moments.channels()).merge(moments);
}

/// The same of the sums that a backward pass is made of.
inline void all_reduce(GradientSums& sums, const Reducer& across) {
  detail::Meeting("all_reduce", &across, detail::Message::gradient_sums, sums.dy.size()).merge(sums);
}

/// The same of what was gathered from batches, of which each rank had its own; of 3 C + 5 numbers. Options are the same
/// on all.
inline void all_reduce(PopulationStatistics& population, const Reducer& across) {
  detail::Meeting("all_reduce", &across, detail::Message::population, population.channels()).merge(population);
}

}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
