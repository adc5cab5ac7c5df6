#include "nn/layer.hpp"

namespace nn {

template <class Scalar>
bool Layer<Scalar>::is_finite() {
  bool result = true;
  for_each_parameter([&](bn::Parameter<Scalar> parameter) { result &= parameter.value.allFinite(); });
  for_each_statistics([&](const bn::Moments&, bn::RunningStatistics& running) {
    result &= running.mean.allFinite() && running.variance.allFinite();
  });
  return result;
}

template class Layer<float>;
template class Layer<double>;

}  // namespace nn
