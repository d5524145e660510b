#pragma once

#include <cstdint>
#include <vector>

#include "fovea/models/translation_model.h"

namespace fovea::models {

/// Sentence pairs as a model is given them: eos is 0, the decoder starts on 2.
struct Pairs {
  std::vector<std::int32_t> source, target_in, target_out;
  std::vector<std::int32_t> source_start{0}, target_start{0};

  void add(const std::vector<std::int32_t>& from, const std::vector<std::int32_t>& to) {
    source.insert(source.end(), from.begin(), from.end());
    source.push_back(0);
    target_in.push_back(2);
    target_in.insert(target_in.end(), to.begin(), to.end());
    target_out.insert(target_out.end(), to.begin(), to.end());
    target_out.push_back(0);
    source_start.push_back(std::int32_t(source.size()));
    target_start.push_back(std::int32_t(target_in.size()));
  }
  TranslationBatch batch() const { return {source, source_start, target_in, target_out, target_start}; }
};

inline Pairs some_pairs() {
  Pairs pairs;
  pairs.add({3, 4, 5}, {6, 7});
  pairs.add({8}, {9, 10, 11, 12, 3});
  pairs.add({}, {});
  pairs.add({4, 4, 4, 12, 11}, {5});
  return pairs;
}

}  // namespace fovea::models
