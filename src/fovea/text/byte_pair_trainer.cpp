#include "fovea/text/byte_pair_trainer.h"

#include <queue>
#include <unordered_map>
#include <unordered_set>

namespace fovea::text {
namespace {

using Pair = std::pair<std::int32_t, std::int32_t>;

constexpr std::uint64_t key_of(std::int32_t left, std::int32_t right) {
  return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32) |
         static_cast<std::uint32_t>(right);
}

/// How often pairs of neighbours occur, and in which words; kept up to date merge by merge.
class Pairs {
 public:
  explicit Pairs(std::vector<SymbolWord> words) : words_(std::move(words)) {
    for (std::size_t w = 0; w < words_.size(); ++w) count(w, +1);
    for (const auto& [key, pair] : pairs_) queue_.push({pair.count, key});
  }

  /// The most frequent pair; nothing if no pair occurs twice.
  bool most_frequent(Pair& pair) {
    while (!queue_.empty()) {
      const Candidate best = queue_.top();
      queue_.pop();
      const std::int64_t now = pairs_[best.key].count;
      if (now != best.count) {  // changed since it was queued
        if (now > 0) queue_.push({now, best.key});
        continue;
      }
      if (now < 2) return false;
      pair = {static_cast<std::int32_t>(best.key >> 32), static_cast<std::int32_t>(best.key)};
      return true;
    }
    return false;
  }

  void merge(const Pair& pair, std::int32_t into) {
    const auto words = std::move(pairs_[key_of(pair.first, pair.second)].words);
    std::unordered_set<std::uint64_t> grown;
    for (const std::size_t w : words) {
      count(w, -1);
      replace(words_[w].symbols, pair, into);
      count(w, +1);
      const auto& symbols = words_[w].symbols;
      for (std::size_t i = 0; i + 1 < symbols.size(); ++i)
        if (symbols[i] == into || symbols[i + 1] == into) grown.insert(key_of(symbols[i], symbols[i + 1]));
    }
    for (const std::uint64_t key : grown) queue_.push({pairs_[key].count, key});
  }

 private:
  struct Occurrences {
    std::int64_t count = 0;
    std::unordered_set<std::size_t> words;  // that had it at some time
  };
  struct Candidate {
    std::int64_t count;
    std::uint64_t key;
    /// Order of a heap with the most frequent on top, of equals the lowest key.
    bool operator<(const Candidate& other) const {
      return count < other.count || (count == other.count && key > other.key);
    }
  };

  void count(std::size_t w, std::int64_t sign) {
    const auto& symbols = words_[w].symbols;
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
      Occurrences& pair = pairs_[key_of(symbols[i], symbols[i + 1])];
      pair.count += sign * words_[w].count;
      if (sign > 0) pair.words.insert(w);
    }
  }

  static void replace(std::vector<std::int32_t>& symbols, const Pair& pair, std::int32_t into) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < symbols.size(); ++i) {
      const bool both = i + 1 < symbols.size() && symbols[i] == pair.first && symbols[i + 1] == pair.second;
      symbols[kept++] = both ? into : symbols[i];
      i += both ? 1 : 0;
    }
    symbols.resize(kept);
  }

  std::vector<SymbolWord> words_;
  std::unordered_map<std::uint64_t, Occurrences> pairs_;
  std::priority_queue<Candidate> queue_;
};

}  // namespace

std::vector<Pair> learn_byte_pairs(std::vector<SymbolWord> words, std::int32_t symbols, std::size_t merges) {
  Pairs pairs(std::move(words));
  std::vector<Pair> learned;
  Pair pair;
  while (learned.size() < merges && pairs.most_frequent(pair)) {
    pairs.merge(pair, symbols + static_cast<std::int32_t>(learned.size()));
    learned.push_back(pair);
  }
  return learned;
}

}  // namespace fovea::text
