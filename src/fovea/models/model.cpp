#include "fovea/models/model.h"

#include <algorithm>
#include <cmath>

namespace fovea::models {

std::vector<std::string> non_finite_tensors(const Model& model) {
  const auto broken = [](const Tensor& value) {
    return value.defined() && !std::ranges::all_of(value.values(), [](float w) { return std::isfinite(w); });
  };
  std::vector<std::string> names = model.packed_non_finite();
  if (model.parameters().values().defined())  // else all were looked at as they were read
    for (const auto& view : model.parameters().views())
      if (broken(view.value)) names.push_back(view.name);
  if (broken(model.output_bias())) names.emplace_back("final_logits_bias");
  return names;
}

}  // namespace fovea::models
