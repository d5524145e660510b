#include "fovea/models/packed_weights.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/formats/adapter.h"
#include "fovea/formats/hash.h"

namespace fovea::models {
namespace {

using Metadata = formats::SafetensorsWriter::Metadata;

// What the panels of kernels::PackedLinear look like; another number where that changes.
constexpr auto layout = "1";
constexpr std::size_t alignment = 64;
constexpr auto repack = "make them again with fovea pack, or remove the file";
constexpr std::int64_t aligned_floats = alignment / sizeof(float);

std::string text_of(DType dtype) { return dtype == DType::i8 ? "int8" : std::string(name_of(dtype)); }

std::string key_of(const nn::Parameter& parameter) {
  if (parameter.parts.empty()) return parameter.name;
  return parameter.parts.front().name + "+" + std::to_string(parameter.parts.size() - 1);
}

std::string packed_key(const nn::Parameter& parameter) { return key_of(parameter) + ".packed"; }

// bf16 and i8 lie the same way for all kernels.
std::string kernels_text(const Packing& packing) {
  return packing.dtype == DType::f32 ? std::string(kernels::name_of(packing.exec.kernels)) : "all";
}

// A file that weights come from, as the metadata have it: its bytes, when it was changed, their digest.
std::string source_key(std::size_t number) { return "source." + std::to_string(number); }

std::string size_and_time(const formats::SafetensorsFile& file) {
  return std::to_string(file.bytes()) + " " + std::to_string(file.modified_ns());
}

std::string described(const formats::SafetensorsFile& file) {
  return size_and_time(file) + " " + file.digest();
}

bool is_same(const formats::SafetensorsFile& file, const std::string& description) {
  if (description.starts_with(size_and_time(file) + " ")) return true;
  return description.starts_with(std::to_string(file.bytes()) + " ") &&
         description.ends_with(" " + file.digest());
}

// What an adapter's configuration says of how it is added.
std::string adapter_digest(const formats::Weights& weights) {
  if (!weights.adapter()) return "none";
  constexpr std::uint64_t most = 1 << 24;
  const auto text = read_file(weights.folder() / formats::adapter_config_name, most, Error::Kind::model);
  formats::Xxh64 hash;
  hash.update(as_bytes(text));
  return hash.hex();
}

bool is_made_of(const Metadata& metadata, const formats::Weights& weights) {
  const auto sources = weights.sources();
  const auto adapter = metadata.find("adapter");
  if (adapter == metadata.end() || adapter->second != adapter_digest(weights)) return false;
  if (metadata.contains(source_key(sources.size()))) return false;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const auto described = metadata.find(source_key(i));
    if (described == metadata.end() || !is_same(*sources[i], described->second)) return false;
  }
  return true;
}

Metadata what_it_is(const Packing& packing) {
  return {{"format", "fovea-packed"},
          {"layout", layout},
          {"dtype", text_of(packing.dtype)},
          {"kernels", kernels_text(packing)}};
}

bool serves(const Metadata& metadata, const Packing& packing) {
  // Products in bf16 lay f32 weights out anew.
  if (packing.dtype == DType::f32 && packing.exec.precision != kernels::Precision::f32) return false;
  return std::ranges::all_of(what_it_is(packing), [&](const auto& entry) {
    const auto found = metadata.find(entry.first);
    return found != metadata.end() && found->second == entry.second;
  });
}

std::optional<formats::SafetensorsFile> open_packed(const formats::Weights& weights, DType dtype) {
  if (weights.folder().empty()) return std::nullopt;
  const auto path = weights.folder() / packed_name(dtype);
  if (!system_files().info(path).ok()) return std::nullopt;
  try {
    return formats::SafetensorsFile::open_mapped(path);
  } catch (const Error& error) {
    throw Error(error.kind(), error.what(), "the packed weights are damaged", repack);
  }
}

PackedState state_of(const std::optional<formats::SafetensorsFile>& file, const formats::Weights& weights,
                     const Packing& packing) {
  if (!file) return PackedState::none;
  const auto& metadata = file->metadata();
  return serves(metadata, packing) && is_made_of(metadata, weights) ? PackedState::current
                                                                    : PackedState::outdated;
}

[[noreturn]] void refuse(const formats::SafetensorsFile& file, const std::string& tensor,
                         const std::string& what) {
  throw Error(Error::Kind::model, file.name() + ": " + printable(tensor), what, repack);
}

// The tensor [elements] of that name, as long as it should be.
Tensor view(const formats::SafetensorsFile& file, const std::string& name, std::int64_t elements,
            DType dtype) {
  const Tensor stored = file.view_stored(name);
  if (stored.dtype() != dtype || stored.elements() != elements)
    refuse(file, name,
           "is " + std::string(name_of(stored.dtype())) + " " + stored.shape().text() + ", not " +
               std::string(name_of(dtype)) + " [" + std::to_string(elements) + "]");
  return stored;
}

std::int64_t padded(std::int64_t elements) {
  return (elements + aligned_floats - 1) / aligned_floats * aligned_floats;
}

nn::PackedForm form_in(const formats::SafetensorsFile& file, const nn::Parameter& parameter,
                       const Packing& packing) {
  nn::PackedForm form;
  const std::int64_t elements = parameter.shape.elements();
  if (parameter.packs(packing.dtype)) {
    const auto bytes =
        kernels::packed_linear_bytes(packing.exec, packing.dtype, parameter.shape[0], parameter.shape[1]);
    form.packed = view(file, packed_key(parameter), static_cast<std::int64_t>(bytes), DType::i8);
  }
  if (parameter.keeps_values(packing.dtype))
    form.value = view(file, key_of(parameter), padded(elements), DType::f32).slice(0, {elements});
  return form;
}

bool has_all(const formats::SafetensorsFile& file, const nn::Parameters& parameters, DType dtype) {
  return std::ranges::all_of(parameters.all(), [&](const nn::Parameter& parameter) {
    return (!parameter.packs(dtype) || file.find(packed_key(parameter))) &&
           (!parameter.keeps_values(dtype) || file.find(key_of(parameter)));
  });
}

void expect_scales(const formats::SafetensorsFile& file, const nn::Parameter& parameter) {
  const float* scales = parameter.packed.scales();
  for (std::int64_t n = 0; scales && n < parameter.packed.N(); ++n)
    if (!(scales[n] >= 0.0f && std::isfinite(scales[n])))
      refuse(file, packed_key(parameter), "the scale of row " + std::to_string(n) + " is no finite number");
}

// The values in a tensor whose bytes are a multiple of the alignment.
Tensor padded(const Tensor& value) {
  const std::int64_t elements = value.elements();
  if (padded(elements) == elements) return value.detached().reshape({elements});
  Tensor longer = Tensor::zeros({padded(elements)});
  std::ranges::copy(value.values(), longer.f32());
  return longer;
}

Tensor bytes_of(const kernels::PackedLinear& packed) {
  // The model outlives the writing.
  return Tensor::over(nullptr, packed.memory(), {static_cast<std::int64_t>(packed.bytes())}, DType::i8);
}

DType held_as(const Model& model) {
  for (const auto& parameter : model.parameters().all())
    if (parameter.packed.bytes() > 0) return parameter.packed.dtype();
  throw Error(Error::Kind::bug, "packed weights", "the model was not loaded to answer");
}

}  // namespace

std::filesystem::path packed_name(DType dtype) { return "packed-" + text_of(dtype) + ".safetensors"; }

void remove_packed(const formats::Weights& weights) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::i8})
    system_files().remove(weights.folder() / packed_name(dtype));
}

PackedState packed_state(const formats::Weights& weights, const Packing& packing) {
  return state_of(open_packed(weights, packing.dtype), weights, packing);
}

bool bind_packed(const formats::Weights& weights, const Packing& packing, nn::Parameters& parameters) {
  const auto file = open_packed(weights, packing.dtype);
  if (state_of(file, weights, packing) != PackedState::current) return false;
  if (!has_all(*file, parameters, packing.dtype)) return false;  // the model with another head, say
  parameters.bind(packing.exec, packing.dtype,
                  [&](const nn::Parameter& parameter) { return form_in(*file, parameter, packing); });
  for (const auto& parameter : parameters.all()) expect_scales(*file, parameter);
  return true;
}

std::filesystem::path save_packed(const formats::Weights& weights, const kernels::Execution& exec,
                                  const Model& model) {
  if (const auto names = non_finite_tensors(model); !names.empty())
    throw Error(Error::Kind::model, weights.name(), "NaN or infinite weights in " + names.front(),
                "such a model cannot be packed");
  const Packing packing{exec, held_as(model)};
  Metadata metadata = what_it_is(packing);
  metadata["adapter"] = adapter_digest(weights);
  const auto sources = weights.sources();
  for (std::size_t i = 0; i < sources.size(); ++i) metadata[source_key(i)] = described(*sources[i]);
  formats::SafetensorsWriter file(std::move(metadata), alignment);
  for (const auto& parameter : model.parameters().all()) {
    if (parameter.packed.bytes() > 0) file.add(packed_key(parameter), bytes_of(parameter.packed));
    if (parameter.value.defined()) file.add(key_of(parameter), padded(parameter.value));
  }
  auto path = weights.folder() / packed_name(packing.dtype);
  file.save(path);
  return path;
}

}  // namespace fovea::models
