#pragma once

#include <cstdint>
#include <vector>

#include "fovea/decoding/search_options.h"

namespace fovea::decoding {

/// What may not stand in what is generated, or not twice.
struct Constraints {
  double repetition_penalty = 1.0;   ///< decoding/logit_processor.h; 1: none
  std::int64_t no_repeat_ngram = 0;  ///< no so many tokens in a row occur twice; 0: off
  /// Sequences of tokens that nothing generated holds.
  std::vector<std::vector<std::int32_t>> suppressed = {};

  /// Adds what they ask for to a search.
  void add_to(BeamOptions& search) const;
};

}  // namespace fovea::decoding
