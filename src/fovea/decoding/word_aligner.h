#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "fovea/base/thread_pool.h"
#include "fovea/metrics/alignment.h"
#include "fovea/models/word_attention.h"

namespace fovea::decoding {

/// A sentence and its translation, cut into the words that links count.
struct WordPair {
  text::Words source, target;
};

/// Aligns the words of sentence pairs by what a translation model looks at when it reads them.
/// Pairs are read side by side, a thread each; results do not depend on how many threads there are.
class WordAligner {
 public:
  /// threads = 0: as many as the machine has. Model and tokenizer must outlive this.
  WordAligner(const models::TranslationModel& model, const text::TranslationTokenizer& tokenizer,
              int threads = 0);

  struct Result {
    std::vector<text::Alignment> alignments;  ///< one a pair
    std::vector<std::size_t> too_long;        ///< pairs longer than the model takes: they have no links
  };
  /// Throws as models::read_pair and PairAttention::words do.
  Result align(std::span<const WordPair> pairs, const models::AttentionPick& pick,
               const models::LinkOptions& options) const;

  /// How good the links from one attention are.
  struct Scored {
    models::AttentionPick pick;
    metrics::AlignmentScore score;
  };
  /// Of every head and mean, not shifted and shifted, how near it comes to the gold alignments (one a pair);
  /// the best is the first with the least error rate. Empty if no pair can be read.
  std::vector<Scored> score_all(std::span<const WordPair> pairs, std::span<const text::GoldAlignment> gold,
                                const models::LinkOptions& options) const;

 private:
  using Visit = std::function<void(std::size_t pair, const models::PairAttention* read)>;
  void for_each(std::span<const WordPair> pairs, const Visit& visit) const;

  const models::TranslationModel& model_;
  const text::TranslationTokenizer& tokenizer_;
  mutable ThreadPool pool_;
};

}  // namespace fovea::decoding
