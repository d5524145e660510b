#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace fovea::metrics {

/// The n-grams of one order in a sequence of symbols, with how often each occurs.
/// A symbol is a character (chrF) or the number of a word (BLEU, chrF++): both are 32 bits.
/// The n-grams are views: the sequence must outlive them.
class NgramCounts {
 public:
  NgramCounts() = default;
  NgramCounts(std::u32string_view symbols, std::size_t n);

  std::int64_t total() const;
  bool empty() const { return counts_.empty(); }

  /// Takes the larger count of each n-gram: the union of several references, as BLEU clips by it.
  void keep_maximum(const NgramCounts& other);

  /// Sum over the n-grams of min(count here, count in `reference`).
  std::int64_t matches(const NgramCounts& reference) const;

 private:
  struct Entry {
    std::u32string_view ngram;
    std::int64_t count;
  };
  std::vector<Entry> counts_;  // sorted by n-gram, each once
};

}  // namespace fovea::metrics
