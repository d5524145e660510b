#include "fovea/formats/adapter.h"

#include <cerrno>
#include <vector>

namespace fovea::formats {
namespace {

using Path = std::filesystem::path;

constexpr std::string_view dora = "lora_magnitude_vector";

[[noreturn]] void refuse(const SafetensorsFile& file, std::string_view key, std::string_view what,
                         std::string_view remedy = {}) {
  throw Error(Error::Kind::model, file.name() + ": " + printable(key), what, remedy);
}

// `text` without `part`, where it has it.
std::string without(std::string text, std::string_view part) {
  if (const auto at = text.find(part); at != std::string::npos) text.erase(at, part.size());
  return text;
}

void expect_weights(const Path& folder, FileSystem& files) {
  if (files.info(folder / adapter_weights_name).error != ENOENT) return;
  if (files.info(folder / "adapter_model.bin").error != ENOENT)
    throw Error(
        Error::Kind::model, shown(folder),
        "has no adapter_model.safetensors; its adapter_model.bin is pickled, which can run code and is "
        "never read",
        "load it where you trust it, in PEFT, and save_pretrained() it as safetensors");
  throw Error(Error::Kind::model, shown(folder), "has no adapter_model.safetensors",
              "a run writes it at its first validation, and at its end");
}

// A [R, C] as [C, R].
Tensor transposed(const Tensor& matrix) {
  const std::int64_t R = matrix.dim(0), C = matrix.dim(1);
  Tensor out = Tensor::empty({C, R});
  for (std::int64_t c = 0; c < C; ++c)
    for (std::int64_t r = 0; r < R; ++r) out.f32()[c * R + r] = matrix.f32()[r * C + c];
  return out;
}

// W [N, K] += scale left [N, r] right [r, K]
void add_product(const Tensor& W, double scale, const Tensor& left, const Tensor& right) {
  const std::int64_t N = W.dim(0), K = W.dim(1), r = left.dim(1);
  std::vector<float> row(static_cast<std::size_t>(K));
  for (std::int64_t n = 0; n < N; ++n) {
    std::fill(row.begin(), row.end(), 0.0f);
    for (std::int64_t i = 0; i < r; ++i) {
      const float factor = left.f32()[n * r + i];
      const float* from = right.f32() + i * K;
      for (std::int64_t k = 0; k < K; ++k) row[static_cast<std::size_t>(k)] += factor * from[k];
    }
    float* to = W.f32() + n * K;
    for (std::int64_t k = 0; k < K; ++k)
      to[k] += static_cast<float>(scale) * row[static_cast<std::size_t>(k)];
  }
}

}  // namespace

Adapter Adapter::open(const Path& folder, FileSystem& files) {
  AdapterConfig config =
      read_adapter_config(read_json(folder / adapter_config_name, Error::Kind::model, {}, files));
  expect_weights(folder, files);
  Adapter adapter(std::move(config), SafetensorsFile::open(folder / adapter_weights_name, files));
  adapter.sort_tensors();
  return adapter;
}

void Adapter::sort_tensors() {
  for (const TensorInfo& info : file_.tensors()) take(info.name);
  for (const auto& [module, pair] : pairs_)
    if (pair.A.empty() || pair.B.empty())
      refuse(file_, module, std::string("has no ") + (pair.A.empty() ? "lora_A" : "lora_B"),
             "was the adapter saved whole?");
}

// Names as PEFT writes them: MODULE.lora_A.weight; MODULE.weight, and of biases also MODULE.base_layer.bias
// and MODULE.modules_to_save.bias; and as they stand in the model that it wraps, where the adapter's own name
// is part of them: MODULE.lora_A.default.weight, MODULE.modules_to_save.default.weight.
void Adapter::take(const std::string& key) {
  if (!key.starts_with(adapter_prefix))
    refuse(file_, key, "is no tensor of a LoRA adapter", "their names begin with base_model.model.");
  std::string name = key.substr(adapter_prefix.size());
  if (name.find(dora) != std::string::npos)
    refuse(file_, key, "is of a DoRA adapter, which is not built here", "merge it in PEFT");
  for (const bool is_A : {true, false}) {
    const auto at = name.find(is_A ? ".lora_A." : ".lora_B.");
    if (at == std::string::npos) continue;
    if (!name.ends_with(".weight")) refuse(file_, key, "is a bias of an adapter, which is not built here");
    Pair& pair = pairs_[name.substr(0, at)];
    (is_A ? pair.A : pair.B) = key;
    return;
  }
  if (name.find(".lora_embedding_") != std::string::npos)
    refuse(file_, key, "adapts an embedding, which is not built here", "merge it in PEFT");
  if (name.find("lora_") != std::string::npos || name.find("token_adapter") != std::string::npos)
    refuse(file_, key, "is of a kind of adapter that is not built here", "merge it in PEFT");
  if (name.find(".original_module.") != std::string::npos) return;  // the base's own
  for (const char* part : {".modules_to_save.default", ".modules_to_save", ".base_layer"})
    name = without(std::move(name), part);
  saved_.emplace(std::move(name), key);
}

Tensor Adapter::merged(const std::string& module, const Tensor& W) const {
  const Pair& pair = pairs_.at(module);
  const Tensor A = file_.read(pair.A), B = file_.read(pair.B);
  const std::int64_t r = config_.rank_of(module);
  const bool turned = config_.input_first;
  const std::int64_t in = W.dim(turned ? 0 : 1), out = W.dim(turned ? 1 : 0);
  const auto expect = [&](const std::string& key, const Tensor& tensor, const Shape& shape) {
    if (!(tensor.shape() == shape))
      refuse(file_, key,
             "shape is " + tensor.shape().text() + ", but " + shape.text() + " fits r and the base's " +
                 W.shape().text(),
             "do adapter_config.json, the adapter and its base belong together?");
  };
  expect(pair.A, A, {r, in});
  expect(pair.B, B, {out, r});
  const Tensor sum = W.clone();
  if (turned)
    add_product(sum, config_.scale_of(module), transposed(A), transposed(B));
  else
    add_product(sum, config_.scale_of(module), B, A);
  return sum;
}

}  // namespace fovea::formats
