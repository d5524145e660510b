#include "fovea/text/pipeline/word_cache.h"

#include <cstring>
#include <functional>

namespace fovea::text::pipeline {

WordCache::Slot& WordCache::slot_of(std::string_view word) const {
  return slots_[std::hash<std::string_view>{}(word) % count];
}

bool WordCache::find(std::string_view word, std::vector<WordToken>& out) const {
  if (word.size() > longest_word) return false;
  Slot& slot = slot_of(word);
  if (slot.busy.test_and_set(std::memory_order_acquire)) return false;
  const bool found = slot.length == word.size() && std::memcmp(slot.word, word.data(), word.size()) == 0;
  if (found) {
    std::uint32_t begin = 0;
    for (std::size_t i = 0; i < slot.tokens; ++i) {
      out.push_back({slot.ids[i], begin, slot.ends[i]});
      begin = slot.ends[i];
    }
  }
  slot.busy.clear(std::memory_order_release);
  return found;
}

void WordCache::keep(std::string_view word, const std::vector<WordToken>& tokens, std::size_t first) const {
  const std::size_t kept = tokens.size() - first;
  if (word.empty() || word.size() > longest_word || kept > most_tokens) return;
  for (std::size_t i = first; i < tokens.size(); ++i)
    if (tokens[i].begin != (i == first ? 0 : tokens[i - 1].end)) return;
  Slot& slot = slot_of(word);
  if (slot.busy.test_and_set(std::memory_order_acquire)) return;
  slot.length = static_cast<std::uint8_t>(word.size());
  slot.tokens = static_cast<std::uint8_t>(kept);
  std::memcpy(slot.word, word.data(), word.size());
  for (std::size_t i = 0; i < kept; ++i) {
    slot.ids[i] = tokens[first + i].id;
    slot.ends[i] = static_cast<std::uint8_t>(tokens[first + i].end);
  }
  slot.busy.clear(std::memory_order_release);
}

}  // namespace fovea::text::pipeline
