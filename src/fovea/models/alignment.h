#pragma once

#include "fovea/models/translation_model.h"

namespace fovea::models {

/// Which source tokens a model looked at for each target token: the weights of the cross-attention of
/// one decoder layer, averaged over its heads; the row of a token is that of the step that produced it.
/// source ends in eos; target has neither start nor eos. Returns [target + 1, source]: the last row produced
/// eos. layer -1: the layer that points most clearly, that is with the greatest mean over target tokens of
/// the largest weight on a source token before eos (layers differ in what they do; much of some goes to eos,
/// which says nothing).
Tensor cross_attention(const ops::Context& ctx, const TranslationModel& model,
                       std::span<const std::int32_t> source, std::span<const std::int32_t> target,
                       int layer = -1);

}  // namespace fovea::models
