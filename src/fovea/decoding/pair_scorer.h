#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "fovea/decoding/ensemble.h"
#include "fovea/models/translation_model.h"
#include "fovea/text/translation_tokenizer.h"

namespace fovea::decoding {

/// How probable a model finds translations that are given, or several models together: log p(y | x), token by
/// token, as the search would count them (pad is never generated, the end of sentence is a token).
class PairScorer {
 public:
  /// All must outlive it.
  PairScorer(const models::TranslationModel& model, const text::TranslationTokenizer& tokenizer,
             const kernels::Execution& exec);

  /// Several models of one tokenizer as one. Throws Error(usage) without models, Error(model) if their
  /// vocabularies or special tokens differ.
  PairScorer(std::span<const std::unique_ptr<models::TranslationModel>> models,
             const text::TranslationTokenizer& tokenizer, const kernels::Execution& exec,
             EnsembleMean mean = EnsembleMean::log_probabilities);

  struct Pair {
    std::vector<std::int32_t> source;  ///< with its end of sentence
    std::vector<std::int32_t> target;  ///< without
  };
  /// Of each token of the target and of its end of sentence, nats; nothing if a side is longer than a model
  /// takes.
  using Scores = std::vector<float>;

  Pair pair_of(std::string_view source, std::string_view target) const;

  /// Scores in the order of the pairs; each is that of the pair alone. Pairs are read many at a time, each
  /// with all its target tokens given; memory does not grow with their number beyond the scores. Throws
  /// Error(model) naming the pair if the model's weights make no numbers; Error(usage) for ids that it has
  /// not.
  std::vector<Scores> score(std::span<const Pair> pairs) const;

 private:
  PairScorer(std::vector<const models::TranslationModel*> models, const text::TranslationTokenizer& tokenizer,
             const kernels::Execution& exec, EnsembleMean mean);
  bool fits(const Pair& pair) const;
  Tensor predict(const models::TranslationBatch& batch) const;
  void score_batch(std::span<const Pair> pairs, std::span<const std::size_t> batch,
                   std::vector<Scores>& scores) const;

  std::vector<const models::TranslationModel*> models_;
  const text::TranslationTokenizer& tokenizer_;
  EnsembleMean mean_;
  models::TranslationVocabulary vocabulary_;  // of each of them
  std::int64_t max_positions_;                // of the model that takes fewest
  ops::Context ctx_;
};

}  // namespace fovea::decoding
