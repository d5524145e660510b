#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "fovea/decoding/model.h"
#include "fovea/models/language_model.h"

namespace fovea::decoding {

struct LanguageDecoderOptions {
  /// Ids that end a text, in place of those that the model's config.json names; not given: those.
  std::optional<std::vector<std::int32_t>> ends = {};
  /// Texts go on past the model's positions: whenever a row has read as many tokens as there are, it goes on
  /// from the newer half of them, read anew from the first position on (a bos token at the beginning stays).
  bool slides = false;
  bool compares = false;  ///< step_compared() serves: what rows have read is kept
};

/// A language model as the search sees it: sources are prompts of at least one token, and what is found is
/// what follows them. All of a prompt but its last token is read in one pass. The model must outlive it.
class LanguageDecoder : public StepModel {
 public:
  /// Throws Error(model) if an end is none of the model's tokens.
  LanguageDecoder(const models::LanguageModel& model, const kernels::Execution& exec,
                  const LanguageDecoderOptions& options = {});

  /// Throws Error(usage) if a prompt is empty, holds what is no token, or is longer than the model reads.
  std::unique_ptr<DecodingState> start(const std::vector<std::vector<std::int32_t>>& prompts) const override;
  void admit(DecodingState& state, const std::vector<std::vector<std::int32_t>>& prompts) const override;
  Tensor step(DecodingState& state, std::span<const std::int32_t> tokens) const override;
  Tensor step_compared(DecodingState& state, std::span<const std::int32_t> tokens,
                       std::vector<float>& likeness) const override;

  /// The last token of the prompt, which start() has not read.
  std::int32_t start_token(std::span<const std::int32_t> prompt) const override;
  std::span<const std::int32_t> ends() const override { return ends_; }
  std::int64_t vocabulary() const override { return vocabulary_.size; }
  std::int64_t most_steps(std::span<const std::int32_t> prompt) const override;
  bool continues() const override { return true; }
  const kernels::Execution& execution() const override { return ctx_.exec; }

 private:
  class State;
  Tensor take_step(State& state, std::span<const std::int32_t> tokens, Tensor* states) const;
  void slide(State& state) const;
  std::vector<std::int32_t> kept(std::span<const std::int32_t> text) const;

  const models::LanguageModel& model_;
  models::LanguageVocabulary vocabulary_;
  std::vector<std::int32_t> ends_;
  LanguageDecoderOptions options_;
  ops::Context ctx_;
};

}  // namespace fovea::decoding
