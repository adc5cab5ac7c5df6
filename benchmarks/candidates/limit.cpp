// The limit: the time in which this machine can move the bytes of a pass, measured on the very buffers of the problem.
//
//   limit = (readings - 1) * T_read(in) + T_move(in -> out)
//
// in is x, and dy of a backward pass; out is y or dx. T_move is the best of a copy with ordinary stores, with streaming
// stores, and with streaming stores and prefetch (of two inputs the sum is stored); T_read the better of two sums over
// the inputs. Here are the parts; measuring/columns.cpp adds them up, round by round.
//
// A pass must see a channel's values twice: first for the statistics (or sums), then for the output. The second time
// comes from cache, and main memory is read once, where the unit that has to stay there - the channel's values in
// planes, this thread's share of the tensor in rows - fits into three quarters of L2.

#include <algorithm>
#include <atomic>

#include "caches.hpp"
#include "candidates/candidate.hpp"
#include "candidates/device.hpp"
#include "candidates/lines.hpp"
#include "candidates/problem.hpp"

namespace benchmarks {
namespace {

enum class Store { ordinary, streaming };

/// A range of positions in all buffers.
struct Slice {
  Index begin, end;
};

template <int Inputs, Store store, Prefetch prefetch>
void move(const Problem& p, Slice slice) {
  const float* x = p.x.data();
  const float* dy = p.dy.data();
  float* out = p.out.data();
  Index k = slice.begin;
  for (; k + Line::size <= slice.end; k += Line::size) {
    Line line = Line::load(x + k);
    if constexpr (Inputs == 2) line += Line::load(dy + k);
    if constexpr (prefetch == Prefetch::yes) {
      prefetch_ahead(x + k);
      if constexpr (Inputs == 2) prefetch_ahead(dy + k);
    }
    if constexpr (store == Store::streaming) {
      line.stream(out + k);
    } else {
      line.store(out + k);
    }
  }
  for (; k < slice.end; ++k) out[k] = Inputs == 2 ? x[k] + dy[k] : x[k];
  if constexpr (store == Store::streaming) stream_fence();
}

/// The compiler must not find out that nobody needs the sums.
std::atomic<float> sink;

template <Prefetch prefetch>
void read(const Buffer& in, Slice slice) {
  sink.store(sum<prefetch>(in.data() + slice.begin, slice.end - slice.begin), std::memory_order_relaxed);
}

template <Prefetch prefetch>
void read_inputs(const Problem& p, Slice slice) {
  read<prefetch>(p.x, slice);
  if (p.task.inputs() == 2) read<prefetch>(p.dy, slice);
}

using Part = void (*)(const Problem&, Slice);

/// Runs a part over the whole problem, in one slice of whole lines for each thread.
void run_in_slices(const Problem& p, int threads, Part part) {
  const Index size = p.task.shape.size();
  if (threads == 1) return part(p, {0, size});
  const auto begin = [=](int thread) {
    return thread == threads ? size : size / threads * thread / Line::size * Line::size;
  };
  const auto& device = pool_device(threads);
  Eigen::Barrier others(static_cast<unsigned>(threads - 1));
  for (int t = 1; t < threads; ++t) {
    device.getPool()->Schedule([&, t] {
      part(p, {begin(t), begin(t + 1)});
      others.Notify();
    });
  }
  part(p, {begin(0), begin(1)});
  others.Wait();
}

Candidate part(const Problem& problem, int threads, std::string form, Work work, Part body) {
  return {.library = "limit", .form = std::move(form), .work = work, .run = [=, &problem] {
            run_in_slices(problem, threads, body);
          }};
}

template <int Inputs>
std::vector<Candidate> moves(const Problem& problem, int threads) {
  return {
      part(problem, threads, "copy", Work::move, move<Inputs, Store::ordinary, Prefetch::no>),
      part(problem, threads, "streaming copy", Work::move, move<Inputs, Store::streaming, Prefetch::no>),
      part(problem, threads, "streaming copy with prefetch", Work::move, move<Inputs, Store::streaming, Prefetch::yes>),
  };
}

}  // namespace

int readings(const Problem& problem, int threads) {
  const Task& task = problem.task;
  if (task.pass == Pass::inference) return 1;
  const Index bytes = task.inputs() * task.shape.bytes();
  const Index unit = task.layout == Layout::planes ? bytes / task.shape.channels : bytes / threads;
  return unit <= l2_bytes() / 4 * 3 ? 1 : 2;
}

std::vector<Candidate> limit_candidates(Problem& problem, int threads) {
  auto parts = problem.task.inputs() == 2 ? moves<2>(problem, threads) : moves<1>(problem, threads);
  if (problem.task.pass != Pass::inference) {
    parts.push_back(part(problem, threads, "read", Work::read, read_inputs<Prefetch::no>));
    parts.push_back(part(problem, threads, "read with prefetch", Work::read, read_inputs<Prefetch::yes>));
  }
  return parts;
}

}  // namespace benchmarks
