#include "fovea/data/tagged_corpus.h"

#include <algorithm>

namespace fovea::data {

bool TaggedCorpus::add(std::span<const std::int32_t> tokens, std::span<const std::int32_t> first,
                       std::span<const std::int32_t> labels) {
  if (std::ranges::all_of(first, [](auto place) { return place < 0; })) return false;
  if (!texts_.add(tokens, labels)) return false;
  first_.insert(first_.end(), first.begin(), first.end());
  begin_.push_back(std::ssize(first_));
  return true;
}

std::span<const std::int32_t> TaggedCorpus::first(std::int64_t i) const {
  return std::span(first_).subspan(static_cast<std::size_t>(begin_[static_cast<std::size_t>(i)]),
                                   labels(i).size());
}

void TaggedBatch::append(const TaggedCorpus& corpus, std::int64_t i) {
  if (start.empty()) start.push_back(0);
  const auto text = corpus.tokens(i), first = corpus.first(i), of_words = corpus.labels(i);
  for (std::size_t word = 0; word < first.size(); ++word) {
    if (first[word] < 0) continue;
    rows.push_back(start.back() + first[word]);
    labels.push_back(of_words[word]);
  }
  tokens.insert(tokens.end(), text.begin(), text.end());
  start.push_back(static_cast<std::int32_t>(tokens.size()));
}

}  // namespace fovea::data
