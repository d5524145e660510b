#include "fovea/decoding/model.h"

namespace fovea::decoding {

Tensor StepModel::step_watched(DecodingState&, std::span<const std::int32_t>, StepAttention&) const {
  throw no_attention();
}

void StepModel::restrict_to(DecodingState&, std::span<const TokenSet>) const {
  throw Error(Error::Kind::usage, "decoding", "the model computes all its tokens or none",
              "do without a shortlist");
}

void StepModel::step_top(DecodingState&, std::span<const std::int32_t>, const kernels::TopKChoice&, float*,
                         std::int32_t*) const {
  throw Error(Error::Kind::bug, "decoding", "the model ranks no tokens by itself");
}

Tensor StepModel::step_compared(DecodingState&, std::span<const std::int32_t>, std::vector<float>&) const {
  throw Error(Error::Kind::usage, "decoding", "the model does not compare what it writes with what it wrote",
              "do without contrastive search, which is for language models");
}

Tensor StepModel::last_logits(const DecodingState&) const {
  throw Error(Error::Kind::bug, "decoding", "the model ranks no tokens by itself");
}

Error no_attention() {
  return Error(Error::Kind::usage, "decoding", "the model has no attention to its source",
               "do without coverage penalty, alignment and replacement of unknown words");
}

}  // namespace fovea::decoding
