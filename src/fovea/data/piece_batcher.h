#pragma once

#include <cstdint>
#include <vector>

#include "fovea/data/batcher.h"
#include "fovea/data/document_corpus.h"

namespace fovea::data {

/// Pieces of documents one after the other, without padding: token n is read, next[n] to be predicted.
struct PieceBatch {
  std::vector<std::int32_t> tokens, next;
  std::vector<std::int32_t> start;  ///< [B + 1]: piece i is [start[i], start[i + 1])
  std::int64_t epoch = 0, index = 0;
};

struct PieceBatcherOptions {
  std::int64_t batch_tokens = 4096;  ///< at most
  std::int64_t piece = 256;          ///< most tokens of a piece: the context that a model learns with
  std::uint64_t seed = 1;
  bool shuffle = true;  ///< false: pieces in order from the beginning of each document (validation)
};

/// Batches without end in which every token of the corpus but the first of each document is predicted exactly
/// once an epoch. A document of no more than `piece` predictions is one piece; a longer one is cut into
/// pieces of that size, in each epoch from another place on, so that no token is always the first of its
/// piece. The order is a function of (corpus, options, epoch) alone; random numbers come from a counter.
class PieceBatcher {
 public:
  /// The corpus must outlive the batcher. Throws Error(data) if it is empty, Error(usage) if an option is out
  /// of range.
  PieceBatcher(const DocumentCorpus& corpus, PieceBatcherOptions options);

  PieceBatch next();
  BatchPosition position() const { return position_; }
  /// Throws Error(data) if the epoch has no such batch: the data or the options differ from those of the
  /// checkpoint.
  void seek(BatchPosition position);
  std::int64_t batches_in_epoch();

 private:
  struct Piece {
    std::int64_t document = 0, first = 0, count = 0;  // predictions first .. first + count - 1 of a document
  };
  struct Plan {
    std::int64_t epoch = -1;
    std::vector<Piece> pieces;
    std::vector<std::int64_t> starts;  // of batches, in pieces

    std::int64_t batches() const { return std::ssize(starts) - 1; }
  };
  void plan_epoch(std::int64_t epoch);
  void cut_documents(std::int64_t epoch);
  void cut_batches();

  const DocumentCorpus& corpus_;
  PieceBatcherOptions options_;
  BatchPosition position_;
  Plan plan_;
};

}  // namespace fovea::data
