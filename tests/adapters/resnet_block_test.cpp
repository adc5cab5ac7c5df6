// A residual block as PyTorch 2.11 made it (torchvision's BasicBlock(6, 10, stride 2) with a downsampling branch) and
// saved it with the safetensors library 0.8: read here, evaluated, trained by one step of gradient descent at rate .1
// on the mean square error, and written again. The file has what PyTorch computed: golden/README.md.
#include <gtest/gtest.h>
#include <batchnorm/adapters/safetensors.hpp>
#include <unsupported/Eigen/CXX11/Tensor>

#include <batchnorm/batchnorm.hpp>

#include <sstream>

#include "support/golden.hpp"
#include "support/kernels.hpp"

namespace resnet_block_test {

namespace bn = batchnorm;
using bn::Index;
using bn::safetensors::Reader;
using bn::safetensors::Writer;

using Images = Eigen::Tensor<float, 4, Eigen::RowMajor>;

/// A convolution without bias, by its definition.
struct Convolution {
  Index stride, padding;
  Images weight, gradient;

  Convolution(Reader& reader, const std::string& name, Index stride_, Index padding_)
      : stride(stride_), padding(padding_) {
    reader.read(name, weight);
  }

  Images forward(const Images& x) const {
    const auto extent = [&](std::size_t axis) {
      return (x.dimension(axis) + 2 * padding - weight.dimension(axis)) / stride + 1;
    };
    Images y(x.dimension(0), weight.dimension(0), extent(2), extent(3));
    y.setZero();
    for_each_product(x, y, [&](Index n, Index o, Index i, Index r, Index s, Index h, Index w, Index u, Index v) {
      y(n, o, h, w) += weight(o, i, r, s) * x(n, i, u, v);
    });
    return y;
  }

  Images backward(const Images& x, const Images& dy) {
    Images dx(x.dimensions());
    dx.setZero();
    gradient = Images(weight.dimensions()).setZero();
    for_each_product(x, dy, [&](Index n, Index o, Index i, Index r, Index s, Index h, Index w, Index u, Index v) {
      dx(n, i, u, v) += weight(o, i, r, s) * dy(n, o, h, w);
      gradient(o, i, r, s) += x(n, i, u, v) * dy(n, o, h, w);
    });
    return dx;
  }

 private:
  template <class Body>
  void for_each_product(const Images& x, const Images& y, const Body& body) const {
    for (Index n = 0; n < x.dimension(0); ++n)
      for (Index o = 0; o < weight.dimension(0); ++o)
        for (Index i = 0; i < weight.dimension(1); ++i)
          for (Index r = 0; r < weight.dimension(2); ++r)
            for (Index s = 0; s < weight.dimension(3); ++s)
              for (Index h = 0; h < y.dimension(2); ++h)
                for (Index w = 0; w < y.dimension(3); ++w) {
                  const Index u = h * stride + r - padding, v = w * stride + s - padding;
                  if (0 <= u && u < x.dimension(2) && 0 <= v && v < x.dimension(3)) body(n, o, i, r, s, h, w, u, v);
                }
  }
};

/// y = relu(bn2(conv2(relu(bn1(conv1(x))))) + bn3(conv3(x))), as torchvision's models/resnet.py has it.
struct Block {
  Convolution conv1, conv2, conv3;
  bn::BatchNorm<float, bn::channel_first, bn::relu> bn1{{.channels = 10}};
  bn::BatchNorm<float, bn::channel_first, bn::add_relu> bn2{{.channels = 10}};
  bn::BatchNorm<float, bn::channel_first> bn3{{.channels = 10}};

  explicit Block(Reader& reader, const std::string& prefix = "")
      : conv1(reader, prefix + "conv1.weight", 2, 1),
        conv2(reader, prefix + "conv2.weight", 1, 1),
        conv3(reader, prefix + "downsample.0.weight", 2, 0) {
    reader.load(prefix + "bn1.", bn1);
    reader.load(prefix + "bn2.", bn2);
    reader.load(prefix + "downsample.1.", bn3);
  }

  void add_to(Writer& writer) const {
    writer.add("conv1.weight", conv1.weight).add("conv2.weight", conv2.weight).add("downsample.0.weight", conv3.weight);
    writer.add("bn1.", bn1).add("bn2.", bn2).add("downsample.1.", bn3);
  }

  Images infer(const Images& x) const {
    Images y;
    bn2.infer(conv2.forward(bn1.infer(conv1.forward(x))), bn3.infer(conv3.forward(x)), y);
    return y;
  }

  Images forward(const Images& x) {
    Images y;
    a1 = conv1.forward(x);
    bn1.forward(a1, b1);
    a2 = conv2.forward(b1);
    a3 = conv3.forward(x);
    bn3.forward(a3, skip);
    bn2.forward(a2, skip, y);
    return y;
  }

  void backward(const Images& x, const Images& dy) {
    Images da1, da2, da3, dskip;
    bn2.backward(a2, skip, dy, da2, dskip);
    bn3.backward(a3, dskip, da3);
    bn1.backward(a1, conv2.backward(b1, da2), da1);
    conv1.backward(x, da1);
    conv3.backward(x, da3);
  }

  void descend(float rate) {
    for (Convolution* conv : {&conv1, &conv2, &conv3}) conv->weight -= rate * conv->gradient;
    const auto step = [&](bn::Parameter<float> p) { p.value -= rate * p.gradient; };
    bn1.for_each_parameter(step);
    bn2.for_each_parameter(step);
    bn3.for_each_parameter(step);
  }

 private:
  Images a1, b1, a2, a3, skip;
};

Reader golden(const std::string& type) {
  return Reader(testing_support::golden_folder() + "resnet_block_" + type + ".safetensors");
}

Images read(Reader& reader, const std::string& name) {
  Images images;
  reader.read(name, images);
  return images;
}

template <class A, class B>
void expect_near(const A& a, const B& b, double bound) {
  ASSERT_EQ(a.size(), b.size());
  for (Index k = 0; k < a.size(); ++k) EXPECT_NEAR(a.data()[k], b.data()[k], bound) << "element " << k;
}

template <class Layer>
void expect_same_layer(const Layer& a, const Layer& b, double bound) {
  expect_near(a.affine().gamma, b.affine().gamma, bound);
  expect_near(a.affine().beta, b.affine().beta, bound);
  expect_near(a.running().mean, b.running().mean, bound);
  expect_near(a.running().variance, b.running().variance, bound);
  EXPECT_EQ(a.running().batches, b.running().batches);
}

void expect_same_block(const Block& a, const Block& b, double bound) {
  expect_near(a.conv1.weight, b.conv1.weight, bound);
  expect_near(a.conv2.weight, b.conv2.weight, bound);
  expect_near(a.conv3.weight, b.conv3.weight, bound);
  expect_same_layer(a.bn1, b.bn1, bound);
  expect_same_layer(a.bn2, b.bn2, bound);
  expect_same_layer(a.bn3, b.bn3, bound);
}

// Sums of at most 90 products, of about 1: 90 roundings of half an epsilon, 6e-8, are 5e-6 in one order of summation,
// and as much in the other.
TEST(ResnetBlock, EvaluatesAsPyTorchDid) {
  Reader reader = golden("f32");
  const Block block(reader);
  expect_near(block.infer(read(reader, "test.input")), read(reader, "test.y_eval"), 1e-5);
}

TEST(ResnetBlock, TakesTheStepThatPyTorchTook) {
  Reader reader = golden("f32");
  Block block(reader);
  const Images x = read(reader, "test.input"), target = read(reader, "test.target");
  const Images y = block.forward(x), difference = y - target;
  expect_near(y, read(reader, "test.y_train"), 1e-5);
  const Eigen::Tensor<float, 0, Eigen::RowMajor> loss = difference.square().mean();
  EXPECT_NEAR(loss(), reader.read<float>("test.loss"), 1e-5);

  block.backward(x, difference * (2 / float(y.size())));
  const auto expect_gradients = [&](const std::string& prefix, const auto& layer) {
    Eigen::ArrayXf gamma, beta;
    reader.read("grad." + prefix + "weight", gamma);
    reader.read("grad." + prefix + "bias", beta);
    expect_near(layer.gradients().gamma, gamma, 1e-5);
    expect_near(layer.gradients().beta, beta, 1e-5);
  };
  expect_gradients("bn1.", block.bn1);
  expect_gradients("bn2.", block.bn2);
  expect_gradients("downsample.1.", block.bn3);

  block.descend(0.1F);
  expect_same_block(block, Block(reader, "after."), 1e-5);
}

TEST(ResnetBlock, IsReadFromSixteenBitsWithinTheirRounding) {
  Reader reader = golden("f32");
  const Block block(reader);
  // Numbers up to 2^e lose half a unit in the last place of 11 and of 8 bits.
  Reader half = golden("f16"), brain = golden("bf16");
  expect_same_block(Block(half), block, 4 * 0x1p-11);
  expect_same_block(Block(brain), block, 4 * 0x1p-8);
}

TEST(ResnetBlock, ComesBackBitForBit) {
  Reader reader = golden("f32");
  Block block(reader);
  block.forward(read(reader, "test.input"));  // running statistics that no float has
  Writer writer;
  block.add_to(writer);
  auto file = std::make_unique<std::stringstream>();
  writer.write(*file);
  Reader again(std::move(file), "the block");
  expect_same_block(Block(again), block, 0);
}

}  // namespace resnet_block_test
