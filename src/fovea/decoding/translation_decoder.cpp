#include "fovea/decoding/translation_decoder.h"

namespace fovea::decoding {
namespace {

class State : public DecodingState {
 public:
  explicit State(std::unique_ptr<models::TranslationState> state) : state(std::move(state)) {}
  std::int64_t rows() const override { return state->rows(); }
  void reorder(std::span<const std::int32_t> parents) override { state->reorder(parents); }

  std::unique_ptr<models::TranslationState> state;
};

}  // namespace

std::unique_ptr<DecodingState> TranslationDecoder::start(
    const std::vector<std::vector<std::int32_t>>& sources) const {
  return std::make_unique<State>(model_.start(ctx_, sources));
}

Tensor TranslationDecoder::step(DecodingState& state, std::span<const std::int32_t> tokens) const {
  return model_.step(ctx_, *static_cast<State&>(state).state, tokens);
}

}  // namespace fovea::decoding
