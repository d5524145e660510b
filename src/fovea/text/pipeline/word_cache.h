#pragma once

#include <atomic>
#include <memory>
#include <string_view>
#include <vector>

#include "fovea/text/pipeline/model.h"

namespace fovea::text::pipeline {

/// Remembers how words were cut: 2 MB, whatever is put in. A word has one place, where it replaces what was
/// there; long words are not kept. Any number of threads: one that finds a place busy goes without.
class WordCache {
 public:
  WordCache() : slots_(std::make_unique<Slot[]>(count)) {}

  /// Appends the tokens of `word` if they are remembered.
  bool find(std::string_view word, std::vector<WordToken>& out) const;
  /// Remembers the tokens from `first` on, which are those of `word`, end to end.
  void keep(std::string_view word, const std::vector<WordToken>& tokens, std::size_t first) const;

 private:
  static constexpr std::size_t count = std::size_t{1} << 14;
  static constexpr std::size_t longest_word = 46, most_tokens = 15;

  /// Two cache lines.
  struct alignas(64) Slot {
    std::atomic_flag busy;
    std::uint8_t length = 0;  // of the word; 0 = free
    std::uint8_t tokens = 0;
    char word[longest_word];
    std::uint8_t ends[most_tokens];
    std::int32_t ids[most_tokens];
  };
  static_assert(sizeof(Slot) == 128);

  Slot& slot_of(std::string_view word) const;

  std::unique_ptr<Slot[]> slots_;
};

}  // namespace fovea::text::pipeline
