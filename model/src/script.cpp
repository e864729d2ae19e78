// TorchScript modules that carry a card: written from source and tensors, and the card read back.
// tch can load and run a module, but neither write source nor reach the further files of its archive.
// No exception leaves this file: a message does, which the caller frees.
#include <caffe2/serialize/inline_container.h>
#include <caffe2/serialize/read_adapter_interface.h>
#include <torch/csrc/jit/api/module.h>

#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <stdexcept>

namespace {

// Bytes in memory. libtorch's own adapter believes what the archive says of its offsets.
class Bytes final : public caffe2::serialize::ReadAdapterInterface {
 public:
  Bytes(const void* data, size_t size) : data_(static_cast<const char*>(data)), size_(size) {}

  size_t size() const override { return size_; }

  size_t read(uint64_t from, void* to, size_t count, const char* = "") const override {
    if (from > size_ || count > size_ - from) throw std::out_of_range("the archive is cut");
    memcpy(to, data_ + from, count);
    return count;
  }

 private:
  const char* data_;
  size_t size_;
};

template <typename Work>
int guarded(char** error, Work work) {
  try {
    work();
    return 0;
  } catch (const std::exception& e) {
    *error = strdup(e.what());
  } catch (...) {
    *error = strdup("unknown exception");
  }
  return 1;
}

}  // namespace

extern "C" {

// Writes a module with these tensors and these methods, and one further file beside them.
int lobar_script_write(const char* path, const char* source, const char* const* names,
                       const at::Tensor* const* tensors, size_t count, const char* extra_name,
                       const char* extra_text, char** error) {
  return guarded(error, [&] {
    torch::jit::Module module("__torch__.Lobar");
    for (size_t i = 0; i < count; ++i) {
      module.register_parameter(names[i], *tensors[i], /*is_buffer=*/true);
    }
    // Python's loader sets it.
    module.register_attribute("training", c10::BoolType::get(), false);
    module.define(source);
    module.save(path, {{extra_name, extra_text}});
  });
}

// The text of one further file of an archive, or null where it has none.
int lobar_script_extra(const void* bytes, size_t length, const char* name, char** text,
                       char** error) {
  return guarded(error, [&] {
    caffe2::serialize::PyTorchStreamReader reader(
        std::make_shared<Bytes>(bytes, length));
    const std::string record = std::string("extra/") + name;
    if (reader.hasRecord(record)) {
      const auto [data, size] = reader.getRecord(record);
      *text = strndup(static_cast<const char*>(data.get()), size);
    }
  });
}

}  // extern "C"
