#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "fovea/models/translation_model.h"
#include "fovea/text/translation_tokenizer.h"

namespace fovea::decoding {

/// How probable a model finds translations that are given: log p(y | x), token by token, as the search would
/// count them (pad is never generated, the end of sentence is a token).
class PairScorer {
 public:
  /// All must outlive it.
  PairScorer(const models::TranslationModel& model, const text::TranslationTokenizer& tokenizer,
             const kernels::Execution& exec)
      : model_(model), tokenizer_(tokenizer) {
    ctx_.exec = exec;
  }

  struct Pair {
    std::vector<std::int32_t> source;  ///< with its end of sentence
    std::vector<std::int32_t> target;  ///< without
  };
  /// Of each token of the target and of its end of sentence, nats; nothing if a side is longer than the model
  /// takes.
  using Scores = std::vector<float>;

  Pair pair_of(std::string_view source, std::string_view target) const;

  /// Scores in the order of the pairs; each is that of the pair alone. Pairs are read many at a time, each
  /// with all its target tokens given; memory does not grow with their number beyond the scores. Throws
  /// Error(model) naming the pair if the model's weights make no numbers; Error(usage) for ids that it has
  /// not.
  std::vector<Scores> score(std::span<const Pair> pairs) const;

 private:
  bool fits(const Pair& pair) const;
  void score_batch(std::span<const Pair> pairs, std::span<const std::size_t> batch,
                   std::vector<Scores>& scores) const;

  const models::TranslationModel& model_;
  const text::TranslationTokenizer& tokenizer_;
  ops::Context ctx_;
};

}  // namespace fovea::decoding
