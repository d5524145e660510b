#pragma once

#include <memory>
#include <span>
#include <vector>

#include "fovea/decoding/model.h"

namespace fovea::decoding {

/// What is averaged over models that decide together, each with the same weight.
enum class EnsembleMean {
  /// log p = mean_m log p_m + constant: a token must please every model. Marian's (equal weights).
  log_probabilities,
  /// p = mean_m p_m: it is enough to please one. fairseq's.
  probabilities,
};

/// What several models say together of the next token: in place of the first model's logits [R, V] the mean
/// of log-probabilities up to a constant a row, or the logarithm of mean probabilities. The other logits are
/// overwritten. `banned` ids have no probability in any model. A row in which one model says NaN or +infinity
/// becomes NaN. Throws Error(bug) unless all are of one shape.
void average_logits(const kernels::Execution& exec, std::span<const Tensor> logits,
                    std::span<const std::int32_t> banned, EnsembleMean mean);

/// Several models of one vocabulary as one: each reads source and past for itself, what follows is decided
/// together.
class Ensemble : public StepModel {
 public:
  using Mean = EnsembleMean;
  /// Throws Error(usage) without models; Error(model) if their vocabularies, special tokens or banned ids
  /// differ.
  explicit Ensemble(std::vector<std::unique_ptr<const StepModel>> models,
                    Mean mean = Mean::log_probabilities);

  std::unique_ptr<DecodingState> start(const std::vector<std::vector<std::int32_t>>& sources) const override;
  void admit(DecodingState& state, const std::vector<std::vector<std::int32_t>>& sources) const override;
  /// See average_logits.
  Tensor step(DecodingState& state, std::span<const std::int32_t> tokens) const override;
  /// Where they looked on average.
  Tensor step_watched(DecodingState& state, std::span<const std::int32_t> tokens,
                      StepAttention& attention) const override;

  void restrict_to(DecodingState& state, std::span<const TokenSet> sets) const override;

  std::int32_t start_token(std::span<const std::int32_t> source) const override {
    return models_.front()->start_token(source);
  }
  std::span<const std::int32_t> ends() const override { return models_.front()->ends(); }
  std::int64_t vocabulary() const override { return models_.front()->vocabulary(); }
  std::int64_t most_steps(std::span<const std::int32_t> source) const override;  ///< the fewest of any model
  bool continues() const override { return models_.front()->continues(); }
  std::span<const std::int32_t> banned() const override { return models_.front()->banned(); }
  const kernels::Execution& execution() const override { return models_.front()->execution(); }

 private:
  Tensor mean_of(const std::vector<Tensor>& logits, bool restricted) const;

  std::vector<std::unique_ptr<const StepModel>> models_;
  Mean mean_;
};

}  // namespace fovea::decoding
