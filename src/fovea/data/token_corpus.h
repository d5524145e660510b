#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

namespace fovea::data {

/// What a TokenCorpus kept and left out.
struct TokenStatistics {
  std::int64_t pairs = 0;          ///< pairs kept
  std::int64_t too_long = 0;       ///< left out: a side has more than max_tokens tokens
  std::int64_t empty = 0;          ///< left out: a side has no token
  std::int64_t source_tokens = 0;  ///< of the kept pairs, without end-of-sentence tokens
  std::int64_t target_tokens = 0;
  std::int64_t longest_source = 0;  ///< tokens, without end of sentence
  std::int64_t longest_target = 0;
};

/// Sentence pairs as token ids, flat in memory: 4 bytes a token and 16 a pair.
/// The ids are those of the text alone, without end of sentence; the Batcher adds what the model needs.
class TokenCorpus {
 public:
  /// Pairs with a side longer than `max_tokens`, counted as the model sees it (with its end-of-sentence
  /// token), are left out.
  explicit TokenCorpus(std::int64_t max_tokens = std::numeric_limits<std::int32_t>::max());

  /// Appends a pair and returns true, or counts why not and returns false.
  bool add(std::span<const std::int32_t> source, std::span<const std::int32_t> target);

  /// Throws Error(data) in the name of `where` if nothing was kept, naming max_tokens if that is why.
  void expect_pairs(std::string_view where) const;

  std::int64_t size() const { return statistics_.pairs; }
  std::span<const std::int32_t> source(std::int64_t pair) const { return source_.sentence(pair); }
  std::span<const std::int32_t> target(std::int64_t pair) const { return target_.sentence(pair); }
  std::int64_t source_length(std::int64_t pair) const { return source_.length(pair); }
  std::int64_t target_length(std::int64_t pair) const { return target_.length(pair); }
  const TokenStatistics& statistics() const { return statistics_; }

  /// A hash of all ids in order (FNV-1a over 32-bit words, lengths included): a resume refuses data that
  /// changed.
  std::uint64_t fingerprint() const;

 private:
  struct Side {
    std::vector<std::int32_t> ids;
    std::vector<std::int64_t> offsets{0};  // sentence i is ids[offsets[i] .. offsets[i+1])

    void add(std::span<const std::int32_t> sentence);
    std::int64_t length(std::int64_t i) const {
      return offsets[static_cast<std::size_t>(i) + 1] - offsets[static_cast<std::size_t>(i)];
    }
    std::span<const std::int32_t> sentence(std::int64_t i) const {
      return {ids.data() + offsets[static_cast<std::size_t>(i)], static_cast<std::size_t>(length(i))};
    }
  };

  std::int64_t max_tokens_;
  Side source_, target_;
  TokenStatistics statistics_;
};

}  // namespace fovea::data
