// oneDNN's convolutions on 8-bit integers, with what follows them (bias, sum, ReLU, rounding to the next
// layer's 8 bits) fused in. libtorch registers them as operators for its compiler; tch does not export
// them, so the dispatcher is asked by name. No exception leaves this file: a null pointer and a message do.
#include <ATen/core/List.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>

#include <optional>
#include <string>
#include <vector>

#include "../guarded.h"

using at::Scalar;
using at::Tensor;
using Scalars = c10::List<std::optional<Scalar>>;

namespace {

using Pair = std::vector<int64_t>;
const auto NONE = c10::IValue();

// The one result of an operator.
template <typename... Arguments>
Tensor call(const c10::OperatorHandle& op, Arguments&&... arguments) {
  torch::jit::Stack stack;
  torch::jit::push(stack, std::forward<Arguments>(arguments)...);
  op.callBoxed(stack);
  return torch::jit::pop(stack).toTensor();
}

c10::OperatorHandle find(const char* name, const char* overload) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, overload);
}

}  // namespace

extern "C" {

// A layer, as Rust lays it out.
struct LobarQuantized {
  const Tensor* weight;  // packed
  const Tensor* scales;  // of the weight, an output channel each
  const Tensor* zeros;   // all 0
  const Tensor* bias;    // fp32
  int64_t stride, padding;
  double x_scale;
  int64_t x_zero;
  double y_scale;
  int64_t y_zero;
};

// Weights of 8 bits, packed for inputs of this shape and scale.
Tensor* lobar_quantized_pack(const Tensor* weight, const Tensor* scales, double x_scale, int64_t x_zero,
                             int64_t stride, int64_t padding, const int64_t* shape, char** error) {
  return guarded(error, [&] {
    static const auto op = find("onednn::qconv_prepack", "");
    return call(op, *weight, *scales, x_scale, x_zero, Pair{stride, stride}, Pair{padding, padding},
                Pair{1, 1}, int64_t{1}, Pair(shape, shape + 4));
  });
}

// relu(convolution(x) + bias), or without the ReLU, in 8 bits.
Tensor* lobar_quantized_convolution(const LobarQuantized* layer, const Tensor* x, int relu, char** error) {
  return guarded(error, [&] {
    static const auto op = find("onednn::qconv2d_pointwise", "");
    const auto& l = *layer;
    return call(op, *x, l.x_scale, l.x_zero, *l.weight, *l.scales, *l.zeros, *l.bias,
                Pair{l.stride, l.stride}, Pair{l.padding, l.padding}, Pair{1, 1}, int64_t{1}, l.y_scale,
                l.y_zero, static_cast<int64_t>(at::kByte), std::string(relu ? "relu" : "none"), Scalars(),
                NONE);
  });
}

// relu(convolution(x) + bias + sum) in 8 bits; the memory of sum is used up.
Tensor* lobar_quantized_convolution_add_relu(const LobarQuantized* layer, const Tensor* x,
                                             const Tensor* sum, double sum_scale, int64_t sum_zero,
                                             char** error) {
  return guarded(error, [&] {
    static const auto op = find("onednn::qconv2d_pointwise", "binary");
    const auto& l = *layer;
    return call(op, *x, l.x_scale, l.x_zero, *l.weight, *l.scales, *l.zeros, *sum, *l.bias,
                Pair{l.stride, l.stride}, Pair{l.padding, l.padding}, Pair{1, 1}, int64_t{1}, l.y_scale,
                l.y_zero, static_cast<int64_t>(at::kByte), sum_scale, sum_zero, std::string("sum"),
                c10::IValue(Scalar(1.0)), std::string("relu"), Scalars(), NONE);
  });
}

}  // extern "C"
