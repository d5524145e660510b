#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace fovea::metrics {

/// Numbers words as they come, so that comparing words is comparing numbers. Keeps its own copies.
class Vocabulary {
 public:
  /// The numbers of `words`; a new word gets the next number.
  std::u32string numbers(const std::vector<std::u32string_view>& words) {
    std::u32string out;
    out.reserve(words.size());
    for (const auto word : words) {
      const auto next = static_cast<char32_t>(numbers_.size());
      out.push_back(numbers_.try_emplace(std::u32string(word), next).first->second);
    }
    return out;
  }

 private:
  std::unordered_map<std::u32string, char32_t> numbers_;
};

}  // namespace fovea::metrics
