#include "fovea/data/labelled_corpus.h"

#include <algorithm>

namespace fovea::data {

bool LabelledCorpus::add(std::span<const std::int32_t> tokens, std::span<const std::int32_t> types,
                         std::int32_t label) {
  if (!texts_.add(tokens, std::span(&label, 1))) return false;
  const bool is_typed = std::ranges::any_of(types, [](auto type) { return type != 0; });
  if (is_typed || !types_.empty()) {
    types_.resize(static_cast<std::size_t>(begin_.back()));
    types_.insert(types_.end(), types.begin(), types.end());
    types_.resize(static_cast<std::size_t>(begin_.back()) + tokens.size());
  }
  begin_.push_back(begin_.back() + std::ssize(tokens));
  return true;
}

std::span<const std::int32_t> LabelledCorpus::types(std::int64_t i) const {
  if (types_.empty()) return {};
  return std::span(types_).subspan(static_cast<std::size_t>(begin_[static_cast<std::size_t>(i)]),
                                   tokens(i).size());
}

void LabelledBatch::append(const LabelledCorpus& corpus, std::int64_t i) {
  if (start.empty()) start.push_back(0);
  const auto text = corpus.tokens(i), of_types = corpus.types(i);
  tokens.insert(tokens.end(), text.begin(), text.end());
  types.insert(types.end(), of_types.begin(), of_types.end());
  start.push_back(static_cast<std::int32_t>(tokens.size()));
  labels.push_back(corpus.label(i));
}

}  // namespace fovea::data
