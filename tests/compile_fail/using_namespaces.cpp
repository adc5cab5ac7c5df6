// Every public name of the library without its namespace, beside all of std and Eigen: none is ambiguous. identity and
// tanh, which std and the C library have too, stand in `activations`. All of this compiles.
#define EIGEN_USE_THREADS
#include <Eigen/Dense>
#include <unsupported/Eigen/CXX11/Tensor>

#include <batchnorm/batchnorm.hpp>
#include <batchnorm/layers/batch_renorm.hpp>
#include <batchnorm/layers/diagnose.hpp>
#include <batchnorm/layers/ghost_batch_norm.hpp>
#include <batchnorm/whitening/whitening_norm.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <random>
#include <vector>

using namespace std;
using namespace Eigen;
using namespace batchnorm;

// What can be chosen.
static_assert(FusableActivation<relu> && FusableActivation<leaky_relu> && FusableActivation<sigmoid>);
static_assert(ResidualActivation<add_relu>);
static_assert(FusableActivation<activations::tanh> && InvertibleActivation<activations::identity>);
static_assert(is_convertible_v<DefaultDevice, Device> && is_convertible_v<const ThreadPoolDevice&, Device>);
static_assert(same_as<statistics_t<half>, float> && same_as<Packet<float>, Packet<statistics_t<bfloat16>>>);
static_assert(channel_axis<1>::axis<3>() == channel_first::axis<3>() && channel_last::axis<2>() == 1);
static_assert(samples_in_rows::axis<2>() == 1 && samples_in_columns::axis<2>() == 0);
static_assert(exponential(0.25) == exponential_decay(0.75) && cumulative() != none() && cumulative(3) != cumulative());
static_assert(presets::keras(2).channels == 2);

const Averaging averaging = debiased_decay(0.9);
const Options options{.channels = 2,
                      .averaging = averaging,
                      .running_variance = RunningVariance::biased,
                      .non_finite = NonFinite::error,
                      .single_value = SingleValue::zero_variance,
                      .mode = Mode::training};

// Templates that nothing instantiates: names are looked up all the same.
template <class = void>
void functions(const ThreadPoolDevice& device, const MatrixXf& x, const MatrixXf& dy, MatrixXf& y, MatrixXf& dx) {
  const Index channels = x.cols();
  const ChannelView<const float> view = channel_view<samples_in_rows>(x);
  const AffineParameters<float> affine(view.channels);
  Gradients<float> gradients(channels);
  const ChannelArray<float> gamma = gradients.gamma;
  Moments moments;
  GradientSums sums;

  batch_moments(x, moments, CallOptions{.device = device});
  train_forward<samples_in_rows, sigmoid>(x, affine, 1e-5, y, moments, {.device = device});
  normalize(x, affine, statistics(moments, 1e-5), y);
  gradient_sums(x, dy, affine, statistics(moments, 1e-5), sums);
  const Statistics of_batch = statistics(moments, 1e-5);
  parameter_gradients(sums, of_batch, gradients);
  input_gradient(x, dy, affine, statistics(moments, 1e-5), sums, dx);
  backward(x, dy, affine, statistics(moments, 1e-5), dx, gradients);
  backward_from_output<samples_in_rows, leaky_relu>(y, dy, affine, statistics(moments, 1e-5), dx, gradients);

  PopulationStatistics population(channels, PopulationOptions{});
  population.add(moments);
  const RunningStatistics running = population.statistics();
  backward(x, dy, affine, statistics(running, 1e-5), dx, gradients);
  const ScaleShift<float> folded = fold(affine, statistics(running, 1e-5));
  scale_shift(x, folded, y);
}

template <class = void>
void layers(const MatrixXf& x, MatrixXf& y, const Tensor<float, 4>& images) {
  BatchNorm<float> norm({.channels = 2});
  norm.forward(x, y);
  recalibrate(norm, vector{x, y}, RecalibrateOptions{.variance = PopulationVariance::of_all_values});
  norm.backward(x, x, y, BackwardOptions<float>{});
  norm.forward(x, y, ForwardOptions<float>{});
  const FlushDenormals guard;
  norm.for_each_parameter([](const Parameter<float>& parameter) { (void)parameter.name; });
  const Diagnosis diagnosis = diagnose(norm);
  for (const Finding& finding : diagnosis) (void)(finding.kind == FindingKind::dead);
  (void)vector<ChannelDiagnosis>(diagnosis.channels);
  const Saved<float> saved = norm.saved();
  if (saved.statistics.count == 0) y = x;

  BatchNorm<float, channel_first, activations::tanh> fused(options);
  y = MatrixXf::Constant(1, 1, fused.infer(images)(0, 0, 0, 0));

  GhostBatchNorm<float> ghosts({.channels = 2}, GhostBatches{.samples = 8});
  ghosts.forward(x, y);
  BatchRenorm<float> renorm({.channels = 2}, RenormSchedule{.plain_steps = 0});
  renorm.forward(x, y);
  if (const RenormLimits limits = renorm.limits(); limits.is_plain()) y = x;

  WhiteningNorm<float> whitening(WhiteningOptions{.channels = 2, .method = WhiteningMethod::newton});
  whitening.forward(x, y);
  const RunningCovariance covariance = whitening.running();
  const CovarianceMoments moments = whitening.moments();
  const GroupedMatrix grouped = whitening.whitening();
}

// The names that stayed in `activations` mean what they meant.
const float from_c = tanh(0.5f);
const int from_std = identity{}(1);
