#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fovea/data/token_corpus.h"

namespace fovea::data {

/// Sentence pairs one after the other, without padding. With eos = end of sentence and y1..yn a target
/// sentence:
struct Batch {
  std::vector<std::int32_t> source;      ///< each sentence x1..xm, eos
  std::vector<std::int32_t> target_in;   ///< each sentence decoder_start, y1..yn
  std::vector<std::int32_t> target_out;  ///< each sentence y1..yn, eos
  std::vector<std::int32_t>
      source_start;  ///< [B+1]: sentence i is source[source_start[i] .. source_start[i+1])
  std::vector<std::int32_t> target_start;  ///< [B+1], for target_in and target_out alike
  std::vector<std::int64_t> pairs;         ///< [B]: which pairs of the corpus these are
  std::int64_t epoch = 0;                  ///< from 0
  std::int64_t index = 0;                  ///< which batch of the epoch, from 0

  std::int64_t size() const { return static_cast<std::int64_t>(pairs.size()); }
};

struct BatcherOptions {
  std::int64_t batch_tokens =
      4096;  ///< at most so many tokens on either side, as packed: each sentence with its eos
  std::uint64_t seed = 1;
  std::int64_t window = 100;  ///< pairs are sorted by length within as many as fill so many batches
  bool shuffle = true;        ///< false: one order, sorted by length throughout (validation)
  std::int32_t eos = 0;
  std::int32_t decoder_start = 0;
};

/// Where the next batch is: all that has to be stored to go on there.
struct BatchPosition {
  std::int64_t epoch = 0;
  std::int64_t batch = 0;
  bool operator==(const BatchPosition&) const = default;
};

/// Batches without end: every pair exactly once an epoch, sentences of like length together.
///
/// The order within an epoch is a function of (corpus, options, epoch) alone:
///   1. the pairs are shuffled (Fisher and Yates; random numbers by counter, so no stream state exists)
///   2. windows of `window` batches' worth of tokens are sorted by (target length, source length); ties stay
///   shuffled
///   3. each window is cut into batches of at most `batch_tokens`; a sentence longer than that is a batch of
///   its own
///   4. the batches are shuffled
/// Cost: about 10 ms an epoch of 150,000 pairs, paid at its first batch; 12 bytes a pair.
class Batcher {
 public:
  /// The corpus must outlive the batcher. Throws Error(data) if it is empty, Error(usage) if an option is out
  /// of range.
  Batcher(const TokenCorpus& corpus, BatcherOptions options);

  /// The next batch; after the last of an epoch comes the first of the next one.
  Batch next();

  BatchPosition position() const { return position_; }

  /// Goes to a stored position without reading what lies before it. `batch` may be one past the epoch's last.
  /// Throws Error(data) if the epoch has no such batch: the data or the options differ from those of the
  /// checkpoint.
  void seek(BatchPosition position);

  /// Number of batches of the epoch of position(). Epochs differ by a few, since each cuts other windows.
  std::int64_t batches_in_epoch();

 private:
  // What the steps above make of one epoch: batch b holds pairs order[starts[b] .. starts[b+1]); they come in
  // `sequence`.
  struct Plan {
    std::int64_t epoch = -1;
    std::vector<std::uint32_t> order;
    std::vector<std::int64_t> starts;
    std::vector<std::uint32_t> sequence;

    std::int64_t batches() const { return static_cast<std::int64_t>(sequence.size()); }
  };

  void plan_epoch(std::int64_t epoch);
  void sort_windows();
  void cut_batches(std::int64_t begin, std::int64_t end);
  std::int64_t window_end(std::int64_t begin) const;
  Batch pack(std::span<const std::uint32_t> pairs) const;

  const TokenCorpus& corpus_;
  BatcherOptions options_;
  BatchPosition position_;
  Plan plan_;
};

}  // namespace fovea::data
