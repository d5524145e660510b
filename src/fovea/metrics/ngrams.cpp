#include "fovea/metrics/ngrams.h"

#include <algorithm>

namespace fovea::metrics {

NgramCounts::NgramCounts(std::u32string_view symbols, std::size_t n) {
  std::vector<std::u32string_view> ngrams;
  for (std::size_t i = 0; i + n <= symbols.size(); ++i) ngrams.push_back(symbols.substr(i, n));
  std::sort(ngrams.begin(), ngrams.end());
  for (const auto ngram : ngrams) {
    if (counts_.empty() || counts_.back().ngram != ngram) counts_.push_back({ngram, 0});
    ++counts_.back().count;
  }
}

std::int64_t NgramCounts::total() const {
  std::int64_t sum = 0;
  for (const auto& entry : counts_) sum += entry.count;
  return sum;
}

void NgramCounts::keep_maximum(const NgramCounts& other) {
  std::vector<Entry> merged;
  merged.reserve(counts_.size() + other.counts_.size());
  auto a = counts_.begin();
  auto b = other.counts_.begin();
  while (a != counts_.end() || b != other.counts_.end()) {
    if (b == other.counts_.end() || (a != counts_.end() && a->ngram < b->ngram)) {
      merged.push_back(*a++);
    } else if (a == counts_.end() || b->ngram < a->ngram) {
      merged.push_back(*b++);
    } else {
      merged.push_back({a->ngram, std::max(a->count, b->count)});
      ++a, ++b;
    }
  }
  counts_ = std::move(merged);
}

std::int64_t NgramCounts::matches(const NgramCounts& reference) const {
  std::int64_t sum = 0;
  auto other = reference.counts_.begin();
  for (const auto& entry : counts_) {
    while (other != reference.counts_.end() && other->ngram < entry.ngram) ++other;
    if (other == reference.counts_.end()) break;
    if (other->ngram == entry.ngram) sum += std::min(entry.count, other->count);
  }
  return sum;
}

}  // namespace fovea::metrics
