// Batches that are small and not random, of one class each: what training shows the next layer, and what inference
// will.
#include <batchnorm/layers/batch_renorm.hpp>
#include <cmath>
#include <iostream>

namespace bn = batchnorm;

/// The root mean square, over the last hundred batches, of what training gives less what inference would.
template <class Layer>
double gap(Layer layer) {
  double sum = 0;
  Eigen::MatrixXf x, y;
  for (int step = 0; step < 1000; ++step) {
    x = Eigen::MatrixXf::Random(8, 3).array() + (step % 2 == 0 ? 1.0f : -1.0f);  // two classes, in turn
    const Eigen::MatrixXf inferred = layer.infer(x);
    layer.forward(x, y);
    if (step >= 900) sum += static_cast<double>((y - inferred).squaredNorm()) / (100.0 * 8 * 3);
  }
  return std::sqrt(sum);
}

int main() {
  const bn::Options options{.channels = 3, .averaging = bn::exponential(0.01)};
  // Batch normalization for 200 steps, until the averages are worth something; then the limits grow. The paper's
  // schedule for a long training is what {} gives.
  const bn::RenormSchedule schedule{.plain_steps = 200, .r_max = 3, .r_steps = 400, .d_max = 5, .d_steps = 200};
  for (const int step : {0, 200, 300, 400, 600}) {
    const bn::RenormLimits limits = schedule.limits(step);
    std::cout << "step " << step << ": r_max " << limits.r_max << ", d_max " << limits.d_max << "\n";
  }
  const double plain = gap(bn::BatchNorm<float>(options)),
               renormalized = gap(bn::BatchRenorm<float>(options, schedule));
  std::cout << "between training and inference, batch normalization: " << plain
            << ", renormalization: " << (renormalized < 1e-5 ? "below 1e-5" : "more") << "\n";
  return plain > 0.5 && renormalized < 1e-5 ? 0 : 1;
}
