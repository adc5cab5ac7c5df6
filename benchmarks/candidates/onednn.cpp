// oneDNN, in the plain format of the problem and in all others. What is in another format has been converted
// beforehand: a network keeps its tensors in the format it likes best. A matrix is described in three ways, all of the
// problem's own memory: oneDNN has fast kernels for images only. Where it fuses a ReLU it keeps a mask, which its own
// forward pass has made.

#include <dlfcn.h>

#include <algorithm>
#include <map>
#include <oneapi/dnnl/dnnl.hpp>
#include <stdexcept>

#include "candidates/candidate.hpp"
#include "candidates/problem.hpp"

namespace benchmarks {
namespace {

using dnnl::memory;
using Forward = dnnl::batch_normalization_forward;
using Backward = dnnl::batch_normalization_backward;
using Arguments = std::unordered_map<int, memory>;

const dnnl::engine& cpu() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

void execute(const dnnl::primitive& primitive, const Arguments& arguments) {
  static dnnl::stream stream(cpu());
  primitive.execute(stream, arguments);
  stream.wait();
}

std::string name_of_runtime(unsigned runtime) {
  switch (runtime) {
    case DNNL_RUNTIME_SEQ: return "SEQ";
    case DNNL_RUNTIME_OMP: return "OMP";
    case DNNL_RUNTIME_TBB: return "TBB";
    case DNNL_RUNTIME_THREADPOOL: return "THREADPOOL";
    default: return std::to_string(runtime);
  }
}

/// Sets the threads of the OpenMP runtime that oneDNN has brought along, whichever that is. Throws std::runtime_error
/// if this oneDNN takes its threads from elsewhere, where nobody can set them.
void set_threads(int threads) {
  const unsigned runtime = dnnl_version()->cpu_runtime;
  if (runtime == DNNL_RUNTIME_SEQ && threads == 1) return;
  using Set = void (*)(int);
  const auto set = reinterpret_cast<Set>(dlsym(RTLD_DEFAULT, "omp_set_num_threads"));
  if (runtime != DNNL_RUNTIME_OMP || set == nullptr) {
    throw std::runtime_error("oneDNN: expected one that uses OpenMP, to set its threads to " + std::to_string(threads) +
                             ", got DNNL_CPU_RUNTIME=" + name_of_runtime(runtime) +
                             (set == nullptr ? " and no omp_set_num_threads" : "") +
                             "; --without onednn leaves it out");
  }
  set(threads);
}

struct Format {
  const char* name;
  /// Of the tensors that oneDNN gets, and of the problem's own memory: of the same extents.
  memory::desc desc, plain;
};

/// The problem's own format first.
std::vector<Format> formats(const Task& task) {
  using Tag = memory::format_tag;
  const Shape& s = task.shape;
  const auto described = [](const memory::dims& extents, Tag tag) {
    return memory::desc(extents, memory::data_type::f32, tag);
  };
  if (task.layout == Layout::matrices) {
    const auto in_place = [](const char* name, const memory::desc& desc) { return Format{name, desc, desc}; };
    return {in_place("nc", described({s.samples, s.channels}, Tag::nc)),
            in_place("nhwc of 1x1", described({s.samples, s.channels, 1, 1}, Tag::nhwc)),
            in_place("nhwc of one image", described({1, s.channels, s.samples, 1}, Tag::nhwc))};
  }
  const auto image = [&](Tag tag) { return described({s.samples, s.channels, s.height(), s.width()}, tag); };
  const memory::desc nchw = image(Tag::nchw), nhwc = image(Tag::nhwc);
  const memory::desc& plain = task.layout == Layout::planes ? nchw : nhwc;
  std::vector<Format> all{{"nchw", nchw, plain},
                          {"nhwc", nhwc, plain},
                          {"nChw16c", image(Tag::nChw16c), plain},
                          {"nChw8c", image(Tag::nChw8c), plain}};
  if (task.layout == Layout::rows) std::swap(all[0], all[1]);
  return all;
}

/// One value per channel, in memory of the problem.
memory per_channel(std::vector<float>& values) {
  return {{{memory::dim(values.size())}, memory::data_type::f32, memory::format_tag::a}, cpu(), values.data()};
}

/// A problem in one format.
class Solver {
 public:
  Solver(Problem& problem, int threads, const Format& format)
      : problem_(problem), plain_(format.plain), format_(format.desc) {
    set_threads(threads);
    const auto forward = make_forward();
    solve_ = {Forward(forward), forward_arguments(forward)};
    if (problem.task.pass == Pass::backward) {
      execute(solve_.primitive, solve_.arguments);  // leaves the statistics and the mask
      solve_ = make_backward(forward);
    }
  }

  void solve() const { execute(solve_.primitive, solve_.arguments); }

  void fetch() const {
    const bool backward = problem_.task.pass == Pass::backward;
    memory result = solve_.arguments.at(backward ? DNNL_ARG_DIFF_SRC : DNNL_ARG_DST);
    memory out(plain_, cpu(), problem_.out.data());
    if (format_ != plain_) execute(dnnl::reorder(result, out), {{DNNL_ARG_FROM, result}, {DNNL_ARG_TO, out}});
  }

 private:
  struct Call {
    dnnl::primitive primitive;
    Arguments arguments;
  };

  dnnl::normalization_flags flags() const {
    auto flags = dnnl::normalization_flags::use_scale | dnnl::normalization_flags::use_shift;
    if (problem_.task.pass == Pass::inference) flags |= dnnl::normalization_flags::use_global_stats;
    if (problem_.task.fuses_relu()) flags |= dnnl::normalization_flags::fuse_norm_relu;
    return flags;
  }

  Forward::primitive_desc make_forward() const {
    const auto kind =
        problem_.task.pass == Pass::inference ? dnnl::prop_kind::forward_inference : dnnl::prop_kind::forward_training;
    return {{kind, format_, float(epsilon), flags()}, cpu()};
  }

  Arguments forward_arguments(const Forward::primitive_desc& forward) const {
    const bool inference = problem_.task.pass == Pass::inference;
    Arguments arguments{
        {DNNL_ARG_SRC, converted(problem_.x)},
        {DNNL_ARG_DST, output()},
        {DNNL_ARG_SCALE, per_channel(problem_.gamma)},
        {DNNL_ARG_SHIFT, per_channel(problem_.beta)},
        {DNNL_ARG_MEAN, inference ? per_channel(problem_.running_mean) : memory(forward.mean_desc(), cpu())},
        {DNNL_ARG_VARIANCE,
         inference ? per_channel(problem_.running_variance) : memory(forward.variance_desc(), cpu())}};
    if (has_mask()) arguments.emplace(DNNL_ARG_WORKSPACE, memory(forward.workspace_desc(), cpu()));
    return arguments;
  }

  Call make_backward(const Forward::primitive_desc& forward) const {
    const Backward::primitive_desc backward({dnnl::prop_kind::backward, format_, format_, float(epsilon), flags()},
                                            cpu(), forward);
    Arguments arguments = solve_.arguments;
    arguments.erase(DNNL_ARG_DST);  // the shift stays: version 2 asks for it
    arguments.emplace(DNNL_ARG_DIFF_DST, converted(problem_.dy));
    arguments.emplace(DNNL_ARG_DIFF_SRC, output());
    arguments.emplace(DNNL_ARG_DIFF_SCALE, per_channel(problem_.dgamma));
    arguments.emplace(DNNL_ARG_DIFF_SHIFT, per_channel(problem_.dbeta));
    return {Backward(backward), arguments};
  }

  bool has_mask() const { return problem_.task.fuses_relu() && problem_.task.pass != Pass::inference; }

  /// The problem's own memory, or a copy in this format.
  memory converted(const Buffer& buffer) const {
    memory plain(plain_, cpu(), buffer.data());
    if (format_ == plain_) return plain;
    memory copy(format_, cpu());
    execute(dnnl::reorder(plain, copy), {{DNNL_ARG_FROM, plain}, {DNNL_ARG_TO, copy}});
    return copy;
  }

  memory output() const {
    return format_ == plain_ ? memory(plain_, cpu(), problem_.out.data()) : memory(format_, cpu());
  }

  Problem& problem_;
  memory::desc plain_, format_;
  Call solve_;
};

/// None where oneDNN has no implementation.
std::vector<Candidate> candidate(Problem& problem, int threads, const Format& format) {
  try {
    const auto solver = std::make_shared<Solver>(problem, threads, format);
    return {{"oneDNN", format.name, Work::pass, [solver] { solver->solve(); }, [solver] { solver->fetch(); }}};
  } catch (const dnnl::error& error) {
    if (error.status == dnnl_unimplemented) return {};
    throw;
  }
}

}  // namespace

std::string onednn_version() {
  const dnnl_version_t& v = *dnnl_version();
  return std::to_string(v.major) + "." + std::to_string(v.minor) + "." + std::to_string(v.patch);
}

std::vector<Candidate> onednn_candidates(Problem& problem, int threads) {
  std::vector<Candidate> candidates;
  for (const Format& format : formats(problem.task)) {
    for (Candidate& c : candidate(problem, threads, format)) candidates.push_back(std::move(c));
  }
  return candidates;
}

}  // namespace benchmarks
