#include "fovea/models/model.h"

#include <algorithm>
#include <cmath>

#include "fovea/models/lora.h"
#include "fovea/models/weights_on_disk.h"

namespace fovea::models {

nn::Parameters& Model::learned() { return lora_ ? lora_->parameters() : parameters_; }

formats::SafetensorsWriter Model::learned_file(DType dtype,
                                               const std::map<std::string, std::string>& metadata) const {
  if (!lora_) return weights_file(dtype, metadata);
  formats::SafetensorsWriter file(metadata);
  add_parameters(file, learned(), dtype == DType::i8 ? DType::f32 : dtype);
  return file;
}

std::string_view Model::learned_name() const {
  return lora_ ? formats::adapter_weights_name : "model.safetensors";
}

void Model::read_learned(const formats::Weights& file) {
  if (lora_)
    read_parameters(file, learned());
  else
    read_weights(file);
}

std::vector<std::string> non_finite_tensors(const Model& model) {
  const auto broken = [](const Tensor& value) {
    return value.defined() && !std::ranges::all_of(value.values(), [](float w) { return std::isfinite(w); });
  };
  std::vector<std::string> names = model.packed_non_finite();
  if (model.learned().values().defined())  // else all were looked at as they were read
    for (const auto& view : model.learned().views())
      if (broken(view.value)) names.push_back(view.name);
  if (broken(model.output_bias())) names.emplace_back("final_logits_bias");
  return names;
}

}  // namespace fovea::models
