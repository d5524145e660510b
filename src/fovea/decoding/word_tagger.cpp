#include "fovea/decoding/word_tagger.h"

namespace fovea::decoding {

void for_each_word(
    const ops::Context& ctx, const models::Bert& model, const EncodedTags& tags,
    const std::function<void(std::int32_t label, std::span<const float> logits, bool is_last)>& take,
    std::int64_t batch_tokens) {
  const data::TaggedCorpus& corpus = tags.corpus;
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
    for (std::int64_t i = begin; i < end; ++i) {
      const auto first = corpus.first(i), labels = corpus.labels(i);
      for (std::size_t word = 0; word < labels.size(); ++word) {
        const bool has_token = first[word] >= 0;
        take(labels[word], has_token ? std::span(row, C) : std::span<const float>(),
             word + 1 == labels.size());
        if (has_token) row += C;
      }
    }
    begin = end;
  }
  for (const auto& labels : tags.unread)
    for (std::size_t word = 0; word < labels.size(); ++word)
      take(labels[word], {}, word + 1 == labels.size());
}

}  // namespace fovea::decoding
