#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "fovea/decoding/tagged_encoder.h"
#include "fovea/models/bert.h"

namespace fovea::decoding {

/// What a model with a class for each token says of labelled words: calls take() with each word's label and
/// the logits of its first token, which are empty for a word without one, and says whether it is its
/// sentence's last; sentences that cannot be read come at the end. What it says of a sentence does not depend
/// on the others.
void for_each_word(
    const ops::Context& ctx, const models::Bert& model, const EncodedTags& tags,
    const std::function<void(std::int32_t label, std::span<const float> logits, bool is_last)>& take,
    std::int64_t batch_tokens = 4096);

}  // namespace fovea::decoding
