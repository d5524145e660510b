#include "fovea/decoding/word_tagger.h"

namespace fovea::decoding {

void for_each_word(
    const ops::Context& ctx, const models::Bert& model, const data::TaggedCorpus& corpus,
    const std::function<void(std::int64_t sentence, std::size_t word, std::span<const float> logits)>& take,
    std::int64_t batch_tokens) {
  const auto C = static_cast<std::size_t>(model.classes().size());
  for (std::int64_t begin = 0; begin < corpus.size();) {
    data::TaggedBatch batch;
    std::int64_t end = begin;
    while (end < corpus.size() &&
           (end == begin || std::ssize(batch.tokens) + std::ssize(corpus.tokens(end)) <= batch_tokens))
      batch.append(corpus, end++);
    const Tensor logits =
        model.token_logits(ctx, {.tokens = batch.tokens, .types = {}, .start = batch.start}, batch.rows);
    const float* row = logits.f32();
    for (std::int64_t i = begin; i < end; ++i)
      for (std::size_t word = 0; word < corpus.first(i).size(); ++word) {
        const bool has_token = corpus.first(i)[word] >= 0;
        take(i, word, has_token ? std::span(row, C) : std::span<const float>());
        if (has_token) row += C;
      }
    begin = end;
  }
}

}  // namespace fovea::decoding
