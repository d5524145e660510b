#pragma once

#include <memory>

#include "fovea/decoding/model.h"
#include "fovea/models/translation_model.h"

namespace fovea::decoding {

/// A translation model as the search sees it. The model must outlive it.
class TranslationDecoder : public StepModel {
 public:
  TranslationDecoder(const models::TranslationModel& model, const kernels::Execution& exec)
      : model_(model), vocabulary_(model.vocabulary()) {
    ctx_.exec = exec;
  }

  std::unique_ptr<DecodingState> start(const std::vector<std::vector<std::int32_t>>& sources) const override;
  void admit(DecodingState& state, const std::vector<std::vector<std::int32_t>>& sources) const override;
  Tensor step(DecodingState& state, std::span<const std::int32_t> tokens) const override;

  bool ranks() const override { return model_.ranks(); }
  void step_top(DecodingState& state, std::span<const std::int32_t> tokens, const kernels::TopKChoice& choice,
                float* log_probs, std::int32_t* ids) const override;
  Tensor last_logits(const DecodingState& state) const override;

  /// Where a row looked is the mean over the heads of what the decoder's last cross-attention saw.
  Tensor step_watched(DecodingState& state, std::span<const std::int32_t> tokens,
                      StepAttention& attention) const override;

  void restrict_to(DecodingState& state, std::span<const TokenSet> sets) const override;

  std::int32_t start_token(std::span<const std::int32_t>) const override { return vocabulary_.start; }
  std::span<const std::int32_t> ends() const override { return {&vocabulary_.eos, 1}; }
  std::int64_t vocabulary() const override { return vocabulary_.target; }
  std::int64_t most_steps(std::span<const std::int32_t>) const override { return model_.max_positions(); }
  std::span<const std::int32_t> banned() const override { return vocabulary_.never(); }
  const kernels::Execution& execution() const override { return ctx_.exec; }

 private:
  const models::TranslationModel& model_;
  models::TranslationVocabulary vocabulary_;
  ops::Context ctx_;
};

}  // namespace fovea::decoding
