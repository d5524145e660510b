#pragma once

#include <cstdint>

#include "fovea/data/batcher.h"

namespace fovea::data {

/// Batches without end of texts and what is to be learned of them: every text exactly once an epoch, texts of
/// like length together. The order is a Batcher's. Corpus::as_pairs() gives what it orders, and
/// Batch::append(corpus, i) takes a text.
template <class Corpus, class Batch>
class BatchesOf {
 public:
  /// The corpus must outlive the batches. Throws as Batcher does.
  BatchesOf(const Corpus& corpus, std::int64_t batch_tokens, std::uint64_t seed)
      : corpus_(corpus), order_(corpus.as_pairs(), {.batch_tokens = batch_tokens, .seed = seed}) {}

  Batch next() {
    Batch batch;
    for (const std::int64_t i : order_.next().pairs) batch.append(corpus_, i);
    return batch;
  }
  BatchPosition position() const { return order_.position(); }
  void seek(BatchPosition position) { order_.seek(position); }
  std::int64_t batches_in_epoch() { return order_.batches_in_epoch(); }

 private:
  const Corpus& corpus_;
  Batcher order_;
};

}  // namespace fovea::data
