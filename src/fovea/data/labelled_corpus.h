#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fovea/data/batches_of.h"
#include "fovea/data/token_corpus.h"

namespace fovea::data {

/// Texts as token ids with the number of their class each. The ids are as a model reads them, with whatever
/// stands around a text.
class LabelledCorpus {
 public:
  /// `types` may be empty: all 0. Returns false, and counts it, for a text without tokens.
  bool add(std::span<const std::int32_t> tokens, std::span<const std::int32_t> types, std::int32_t label);

  std::int64_t size() const { return texts_.size(); }
  std::span<const std::int32_t> tokens(std::int64_t i) const { return texts_.source(i); }
  std::span<const std::int32_t> types(std::int64_t i) const;
  std::int32_t label(std::int64_t i) const { return texts_.target(i).front(); }
  std::int64_t token_count() const { return texts_.statistics().source_tokens; }

  /// A text as the source and its label as the target: what a Batcher orders.
  const TokenCorpus& as_pairs() const { return texts_; }
  /// A hash of all ids and labels in order: a resume refuses data that changed.
  std::uint64_t fingerprint() const { return texts_.fingerprint(); }

 private:
  TokenCorpus texts_;
  std::vector<std::int32_t> types_;     // empty while all are 0
  std::vector<std::int64_t> begin_{0};  // of each text
};

/// Texts one after another, without padding.
struct LabelledBatch {
  std::vector<std::int32_t> tokens, types;
  std::vector<std::int32_t> start;   ///< [B + 1]: text b is [start[b], start[b + 1])
  std::vector<std::int32_t> labels;  ///< [B]

  void append(const LabelledCorpus& corpus, std::int64_t i);
};

using LabelledBatcher = BatchesOf<LabelledCorpus, LabelledBatch>;

}  // namespace fovea::data
