// oneDNN's convolutions with what follows them (bias, sum, ReLU) fused in, on weights packed once.
// libtorch registers them as operators for its compiler; tch does not export them, so the dispatcher
// is asked by name. No exception leaves this file: a null pointer and a message do.
#include <ATen/core/List.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <optional>
#include <string_view>

#include "guarded.h"

using at::IntArrayRef;
using at::Scalar;
using at::Tensor;
using Scalars = c10::List<std::optional<Scalar>>;
using Text = std::optional<std::string_view>;

namespace {

constexpr int64_t DILATION[2] = {1, 1};

template <typename Signature>
c10::TypedOperatorHandle<Signature> find(const char* name, const char* overload) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, overload).typed<Signature>();
}

}  // namespace

extern "C" {

// relu(convolution(x) + bias), or without the ReLU.
Tensor* lobar_convolution(const Tensor* x, const Tensor* weight, const Tensor* bias, int64_t stride,
                          int64_t padding, int relu, char** error) {
  return guarded(error, [&] {
    static const auto op = find<Tensor(const Tensor&, const Tensor&, const std::optional<Tensor>&,
                                       IntArrayRef, IntArrayRef, IntArrayRef, int64_t,
                                       std::string_view, Scalars, Text)>(
        "mkldnn::_convolution_pointwise", "");
    const int64_t paddings[2] = {padding, padding}, strides[2] = {stride, stride};
    return op.call(*x, *weight, *bias, paddings, strides, DILATION, 1, relu ? "relu" : "none",
                   Scalars(), Text());
  });
}

// sum = relu(convolution(x) + bias + sum), in place.
Tensor* lobar_convolution_add_relu(Tensor* sum, const Tensor* x, const Tensor* weight,
                                   const Tensor* bias, int64_t stride, int64_t padding,
                                   char** error) {
  return guarded(error, [&] {
    static const auto op =
        find<Tensor&(Tensor&, const Tensor&, const Tensor&, const std::optional<Tensor>&,
                     IntArrayRef, IntArrayRef, IntArrayRef, int64_t, std::string_view,
                     std::optional<Scalar>, Text, Scalars, Text)>(
            "mkldnn::_convolution_pointwise_", "binary");
    const int64_t paddings[2] = {padding, padding}, strides[2] = {stride, stride};
    return op.call(*sum, *x, *weight, *bias, paddings, strides, DILATION, 1, "add",
                   std::nullopt, "relu", Scalars(), Text());
  });
}

}  // extern "C"
