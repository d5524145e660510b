#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "fovea/data/tagged_corpus.h"
#include "fovea/models/bert.h"

namespace fovea::decoding {

/// What a model with a class for each token says of the words of a corpus: calls take() with each sentence's
/// number, each of its words, in order, and the logits of the word's first token; these are empty for a word
/// without one. What it says of a sentence does not depend on the others.
void for_each_word(
    const ops::Context& ctx, const models::Bert& model, const data::TaggedCorpus& corpus,
    const std::function<void(std::int64_t sentence, std::size_t word, std::span<const float> logits)>& take,
    std::int64_t batch_tokens = 4096);

}  // namespace fovea::decoding
