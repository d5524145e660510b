#include "fovea/models/translation_model.h"

#include <algorithm>
#include <cmath>

#include "fovea/base/error.h"

namespace fovea::models {

void TranslationModel::step_top(const ops::Context&, TranslationState&, std::span<const std::int32_t>,
                                const kernels::TopKChoice&, float*, std::int32_t*) const {
  throw Error(Error::Kind::bug, "translation model", "ranks no tokens by itself");
}

Tensor TranslationModel::last_logits(const ops::Context&, const TranslationState&) const {
  throw Error(Error::Kind::bug, "translation model", "ranks no tokens by itself");
}

std::vector<std::string> non_finite_tensors(const TranslationModel& model) {
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
