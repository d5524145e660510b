#pragma once

#include <optional>

namespace fovea::training {

/// What a validation found.
struct ValidationResult {
  double loss = 0.0;  ///< nats a target token, without smoothing
  std::optional<double> bleu = {};
  std::optional<double> accuracy = {};             ///< share of texts, 0 to 1
  std::optional<double> symbol_error_rate = {};    ///< share of wrong target symbols, as phonemes
  std::optional<double> sequence_error_rate = {};  ///< share of target sequences that are not right

  /// What "best" goes by: BLEU, accuracy or right sequences where they are measured, else minus the loss.
  double score() const {
    if (bleu) return *bleu;
    if (accuracy) return *accuracy;
    return sequence_error_rate ? 1 - *sequence_error_rate : -loss;
  }
  /// A higher score, or the same one (BLEU 0 at the beginning) with a lower loss.
  bool better_than(double other_score, double other_loss) const {
    return score() > other_score || (score() == other_score && loss < other_loss);
  }
};

}  // namespace fovea::training
