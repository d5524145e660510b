#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fovea/base/random.h"

namespace fovea::decoding {

/// How tokens are drawn. Probabilities are softmax(logits / temperature) over the tokens that are allowed;
/// those that are left after top_k, then top_p, min_p and typical_p are drawn in proportion to them. The order is
/// Hugging Face's. What a token's log-probability is said to be is the model's own, at temperature 1 and with
/// nothing left out, as CTranslate2 has it.
struct Sampling {
  double temperature = 1.0;  ///< above 0; below 1 favours what is likely (`temperature`)
  std::int64_t top_k = 0;    ///< the k most probable; of equals the smaller ids (`top_k`); 0: all
  /// The fewest most probable tokens whose share of what top_k left is at least p (`top_p`; Holtzman et al.
  /// 2020, section 3.1); 1: all.
  double top_p = 1.0;
  double min_p = 0.0;      ///< tokens with at least that share of the greatest probability (`min_p`); 0: all
  std::uint64_t seed = 1;  ///< another seed, other draws
  /// The fewest tokens whose share of what is left is at least p, those first whose information -log p is
  /// nearest to the mean of it (`typical_p`; Meister et al. 2022, section 4); 1: all.
  double typical_p = 1.0;
};

/// Throws Error(usage) naming what is out of range.
void validate(const Sampling& sampling);

/// A token, and its log-probability by the model. token -1: nothing is allowed; -2: a logit is NaN or
/// +infinity.
struct Drawn {
  static constexpr std::int32_t nothing = -1, not_a_number = -2;
  std::int32_t token = nothing;
  float log_probability = 0.0f;
};

/// Draws tokens. Which random number decides is counted, not remembered: that of a token depends on the seed,
/// the sentence, the hypothesis and the position alone.
class Sampler {
 public:
  explicit Sampler(const Sampling& sampling) : sampling_(sampling) {}

  /// The random numbers of hypothesis `number` of a sentence.
  RandomKey key(std::uint64_t sentence, std::uint32_t number) const;

  /// A token by all its logits; -infinity: not allowed.
  Drawn draw(std::span<const float> logits, const RandomKey& key, std::int64_t position);
  /// The same given the top_k most probable ids and their log-probabilities, best first; NaN: not allowed.
  Drawn draw(std::span<const std::int32_t> ids, std::span<const float> log_probabilities,
             const RandomKey& key, std::int64_t position);

 private:
  struct Weighted {
    double weight;  // the most probable has 1
    std::int32_t token;
    float log_probability;
    bool operator<(const Weighted& other) const {
      return weight != other.weight ? weight > other.weight : token < other.token;
    }
  };
  void keep_top_k();
  void keep_top_p();
  void keep_typical();
  Drawn choose(const RandomKey& key, std::int64_t position);

  Sampling sampling_;
  std::vector<Weighted> kept_;
};

}  // namespace fovea::decoding
