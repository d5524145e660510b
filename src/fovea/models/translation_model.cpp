#include "fovea/models/translation_model.h"

#include "fovea/base/error.h"

namespace fovea::models {

void TranslationModel::step_top(const ops::Context&, TranslationState&, std::span<const std::int32_t>,
                                const kernels::TopKChoice&, float*, std::int32_t*) const {
  throw Error(Error::Kind::bug, "translation model", "ranks no tokens by itself");
}

Tensor TranslationModel::last_logits(const ops::Context&, const TranslationState&) const {
  throw Error(Error::Kind::bug, "translation model", "ranks no tokens by itself");
}

}  // namespace fovea::models
