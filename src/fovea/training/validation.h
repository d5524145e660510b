#pragma once

#include <optional>

namespace fovea::training {

/// What a validation found.
struct ValidationResult {
  double loss = 0.0;  ///< nats a target token, without smoothing
  std::optional<double> bleu = {};
  std::optional<double> accuracy = {};  ///< share of texts, 0 to 1

  /// What "best" goes by: BLEU or accuracy where it is measured, else minus the loss.
  double score() const { return bleu ? *bleu : accuracy ? *accuracy : -loss; }
  /// A higher score, or the same one (BLEU 0 at the beginning) with a lower loss.
  bool better_than(double other_score, double other_loss) const {
    return score() > other_score || (score() == other_score && loss < other_loss);
  }
};

}  // namespace fovea::training
