#include "nn/checkpoint.hpp"

#include <batchnorm/adapters/safetensors.hpp>

#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace nn {

template <class Scalar>
void save(Sequential<Scalar>& model, const std::filesystem::path& file) {
  bn::safetensors::Writer writer;
  model.for_each_layer([&](const std::string& place, Layer<Scalar>& layer) {
    if (layer.has_other_state()) throw std::invalid_argument("save: layer " + place + " has state of its own kind");
    layer.for_each_parameter(
        [&](const bn::Parameter<Scalar>& p) { writer.add(place + "." + std::string(p.name), p.value); });
    layer.for_each_statistics([&](const bn::Moments&, const bn::RunningStatistics& running) {
      writer.add(place + ".running_mean", running.mean);
      writer.add(place + ".running_variance", running.variance);
      writer.add(place + ".batches", running.batches);
    });
  });
  writer.write(file);
}

template <class Scalar>
void load(Sequential<Scalar>& model, const std::filesystem::path& file) {
  bn::safetensors::Reader reader(file);
  std::size_t tensors = 0;
  std::vector<std::function<void()>> assignments;  // made when all has been read
  const auto read = [&]<class Array>(const std::string& name, Array& values) {
    reader.read(name, values);
    if (!values.allFinite()) throw std::runtime_error(file.string() + ": " + name + " has numbers that are not finite");
    ++tensors;
  };
  model.for_each_layer([&](const std::string& place, Layer<Scalar>& layer) {
    layer.for_each_parameter([&](const bn::Parameter<Scalar>& p) {
      bn::ChannelArray<Scalar> values(p.value.size());
      read(place + "." + std::string(p.name), values);
      assignments.push_back([value = p.value, values = std::move(values)]() mutable { value = values; });
    });
    layer.for_each_statistics([&](const bn::Moments&, bn::RunningStatistics& running) {
      bn::RunningStatistics values = running;
      read(place + ".running_mean", values.mean);
      read(place + ".running_variance", values.variance);
      if ((values.variance < 0).any()) {
        throw std::runtime_error(file.string() + ": " + place + ".running_variance has numbers below zero");
      }
      values.batches = reader.read<std::int64_t>(place + ".batches");
      ++tensors;
      assignments.push_back([&running, values = std::move(values)] { running = values; });
    });
  });
  if (tensors != reader.tensors().size()) {
    throw std::runtime_error(file.string() + ": expected the " + std::to_string(tensors) +
                             " tensors of the network, got " + std::to_string(reader.tensors().size()));
  }
  for (const auto& assign : assignments) assign();
}

template void save(Sequential<float>&, const std::filesystem::path&);
template void save(Sequential<double>&, const std::filesystem::path&);
template void load(Sequential<float>&, const std::filesystem::path&);
template void load(Sequential<double>&, const std::filesystem::path&);

}  // namespace nn
