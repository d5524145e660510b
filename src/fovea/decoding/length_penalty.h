#pragma once

#include <cmath>
#include <cstdint>

#include "fovea/models/generation_defaults.h"

namespace fovea::decoding {

/// What a sum of log-probabilities is divided by, so that long hypotheses are not at a disadvantage.
struct LengthPenalty {
  using Kind = models::LengthPenaltyKind;
  Kind kind = Kind::power;
  double alpha = 1.0;  ///< 0 = no normalisation

  /// The divisor for a hypothesis of `length` tokens, its end of sentence counted; at least 1 token.
  double operator()(std::int64_t length) const {
    const auto tokens = static_cast<double>(length < 1 ? 1 : length);
    return kind == Kind::power ? std::pow(tokens, alpha) : std::pow((5.0 + tokens) / 6.0, alpha);
  }
};

}  // namespace fovea::decoding
