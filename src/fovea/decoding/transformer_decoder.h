#pragma once

#include <array>
#include <memory>

#include "fovea/decoding/model.h"
#include "fovea/models/transformer.h"

namespace fovea::decoding {

/// A Transformer as the search sees it. The model must outlive it.
class TransformerDecoder : public StepModel {
 public:
  TransformerDecoder(const models::Transformer& model, const kernels::Execution& exec)
      : model_(model), banned_{model.config().pad} {
    ctx_.exec = exec;
  }

  std::unique_ptr<DecodingState> start(const std::vector<std::vector<std::int32_t>>& sources) const override;
  Tensor step(DecodingState& state, std::span<const std::int32_t> tokens) const override;

  std::int32_t start_token() const override { return model_.config().pad; }
  std::int32_t eos() const override { return model_.config().eos; }
  std::int64_t vocabulary() const override { return model_.config().target_vocabulary; }
  std::int64_t max_positions() const override { return model_.config().max_positions; }
  std::span<const std::int32_t> banned() const override { return banned_; }
  const kernels::Execution& execution() const override { return ctx_.exec; }

 private:
  const models::Transformer& model_;
  std::array<std::int32_t, 1> banned_;
  ops::Context ctx_;
};

}  // namespace fovea::decoding
