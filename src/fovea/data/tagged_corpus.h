#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fovea/data/batches_of.h"
#include "fovea/data/token_corpus.h"

namespace fovea::data {

/// Sentences as token ids, with the numbers of the labels of their words. The ids are as a model reads them,
/// with whatever stands around a text; of a word its first token bears the label, and the others none.
class TaggedCorpus {
 public:
  /// `first`: of each word the place of its first token among `tokens`; -1 for a word without any, as one
  /// beyond what a model reads. Returns false, and leaves the sentence out, if no word has one.
  bool add(std::span<const std::int32_t> tokens, std::span<const std::int32_t> first,
           std::span<const std::int32_t> labels);

  std::int64_t size() const { return texts_.size(); }
  std::span<const std::int32_t> tokens(std::int64_t i) const { return texts_.source(i); }
  std::span<const std::int32_t> labels(std::int64_t i) const { return texts_.target(i); }  ///< of words
  std::span<const std::int32_t> first(std::int64_t i) const;                               ///< of words
  std::int64_t token_count() const { return texts_.statistics().source_tokens; }
  std::int64_t word_count() const { return texts_.statistics().target_tokens; }

  /// A sentence as the source and its labels as the target: what a Batcher orders.
  const TokenCorpus& as_pairs() const { return texts_; }
  /// A hash of all ids and labels in order: a resume refuses data that changed.
  std::uint64_t fingerprint() const { return texts_.fingerprint(); }

 private:
  TokenCorpus texts_;
  std::vector<std::int32_t> first_;
  std::vector<std::int64_t> begin_{0};  // of each sentence's words
};

/// Sentences one after another, without padding.
struct TaggedBatch {
  std::vector<std::int32_t> tokens;
  std::vector<std::int32_t> start;   ///< [B + 1]: sentence b is [start[b], start[b + 1])
  std::vector<std::int32_t> rows;    ///< the tokens that bear labels
  std::vector<std::int32_t> labels;  ///< theirs

  void append(const TaggedCorpus& corpus, std::int64_t i);
};

using TaggedBatcher = BatchesOf<TaggedCorpus, TaggedBatch>;

}  // namespace fovea::data
