// What every call from Rust into libtorch's C++ needs: no exception may cross.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstring>
#include <exception>

// The tensor that `work` makes, owned by the caller; or null, and in `error` a message from malloc.
template <typename Work>
at::Tensor* guarded(char** error, Work work) {
  try {
    return new at::Tensor(work());
  } catch (const std::exception& e) {
    *error = strdup(e.what());
  } catch (...) {
    *error = strdup("unknown exception");
  }
  return nullptr;
}
