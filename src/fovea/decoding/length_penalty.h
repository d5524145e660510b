#pragma once

#include <cmath>
#include <cstdint>

namespace fovea::decoding {

/// What a sum of log-probabilities is divided by, so that long hypotheses are not at a disadvantage.
struct LengthPenalty {
  enum class Kind {
    power,  ///< length^alpha, as Hugging Face's `length_penalty`; 1 = mean log-probability a token
    gnmt,   ///< (5 + length)^alpha / 6^alpha, Wu et al. 2016, equation (14)
  };
  Kind kind = Kind::power;
  double alpha = 1.0;  ///< 0 = no normalisation

  /// The divisor for a hypothesis of `length` tokens, its end of sentence counted; at least 1 token.
  double operator()(std::int64_t length) const {
    const auto tokens = static_cast<double>(length < 1 ? 1 : length);
    return kind == Kind::power ? std::pow(tokens, alpha) : std::pow((5.0 + tokens) / 6.0, alpha);
  }
};

}  // namespace fovea::decoding
