#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fovea/data/batcher.h"
#include "fovea/data/token_corpus.h"

namespace fovea::data {

/// Texts cut into pieces that a model with masks reads: tokens of a text, with what stands around texts.
class MaskedCorpus {
 public:
  struct Frame {
    std::vector<std::int32_t> front, back;  ///< what stands around a text: [CLS], [SEP]
    std::int64_t most = 512;  ///< tokens of a piece, the frame included: at least one more than that
  };
  explicit MaskedCorpus(Frame frame) : frame_(std::move(frame)) {}

  /// A text: its tokens, without frame, and of each whether a word begins with it. Pieces end before a word,
  /// unless one is longer than a piece. A text without tokens adds nothing.
  void add(std::span<const std::int32_t> tokens, std::span<const std::uint8_t> begins_word);

  /// What a token of a piece is.
  enum Kind : std::int32_t { frame, begins, goes_on };

  std::int64_t size() const { return pieces_.size(); }
  std::span<const std::int32_t> tokens(std::int64_t i) const { return pieces_.source(i); }
  std::span<const std::int32_t> kinds(std::int64_t i) const { return pieces_.target(i); }
  /// The number of piece i's first token among those of all pieces.
  std::int64_t offset(std::int64_t i) const { return offsets_[static_cast<std::size_t>(i)]; }
  std::int64_t token_count() const { return pieces_.statistics().source_tokens; }

  /// Pieces as sources and kinds as targets: what a Batcher orders.
  const TokenCorpus& as_pairs() const { return pieces_; }
  /// A hash of all ids in order: a resume refuses data that changed.
  std::uint64_t fingerprint() const { return pieces_.fingerprint(); }

 private:
  void add_piece(std::span<const std::int32_t> tokens, std::span<const std::uint8_t> begins_word);

  Frame frame_;
  TokenCorpus pieces_;
  std::vector<std::int64_t> offsets_;
};

/// How tokens are chosen to be predicted, and what a model reads in their place (Devlin et al. 2019): of
/// those chosen 80 % are masked, 10 % another token, and 10 % are left as they are.
struct Masking {
  double share = 0.15;       ///< of tokens, or of words
  bool whole_words = false;  ///< all tokens of a word are chosen together
  std::int32_t mask = 4;
  std::vector<std::int32_t> others;  ///< what a token may be replaced by
  std::uint64_t seed = 1;
};

/// Pieces one after another, without padding, with masks in them.
struct MaskedBatch {
  std::vector<std::int32_t> tokens;
  std::vector<std::int32_t> start;    ///< [B + 1]: piece b is [start[b], start[b + 1])
  std::vector<std::int32_t> rows;     ///< the tokens to be predicted
  std::vector<std::int32_t> targets;  ///< what they were

  /// Masks piece i and appends it. What is chosen, and what stands there, is a function of (masking.seed,
  /// epoch, the token's number in the corpus): an epoch draws anew, and batches do not matter. At least one
  /// word is chosen.
  void append(const MaskedCorpus& corpus, std::int64_t i, const Masking& masking, std::uint32_t epoch);
};

/// Batches without end, every piece exactly once an epoch: a Batcher's.
class MaskedBatcher {
 public:
  /// Corpus and masking must outlive the batcher. Throws as Batcher does.
  MaskedBatcher(const MaskedCorpus& corpus, const Masking& masking, std::int64_t batch_tokens);

  MaskedBatch next();
  BatchPosition position() const { return order_.position(); }
  void seek(BatchPosition position) { order_.seek(position); }
  std::int64_t batches_in_epoch() { return order_.batches_in_epoch(); }

 private:
  const MaskedCorpus& corpus_;
  const Masking& masking_;
  Batcher order_;
};

}  // namespace fovea::data
