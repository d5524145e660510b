#include "fovea/decoding/translation_decoder.h"

#include "fovea/decoding/restriction.h"

namespace fovea::decoding {
namespace {

class State : public DecodingState {
 public:
  State(std::unique_ptr<models::TranslationState> state,
        const std::vector<std::vector<std::int32_t>>& sources)
      : state(std::move(state)) {
    add(sources);
  }
  void add(const std::vector<std::vector<std::int32_t>>& sources) {
    for (const auto& source : sources) source_lengths.push_back(source.size());
  }
  std::int64_t rows() const override { return state->rows(); }
  void reorder(std::span<const std::int32_t> parents) override {
    state->reorder(parents);
    next_lengths_.clear();
    for (const auto parent : parents)
      next_lengths_.push_back(source_lengths[static_cast<std::size_t>(parent)]);
    source_lengths.swap(next_lengths_);
    restriction.reorder(parents);
  }
  // Logits as the caller wants them.
  Tensor narrowed(const kernels::Execution& exec, Tensor logits) const {
    return restriction.active() ? restriction.narrow(exec, logits) : logits;
  }

  std::unique_ptr<models::TranslationState> state;
  std::vector<std::size_t> source_lengths;  // of each row
  Restriction restriction;

 private:
  std::vector<std::size_t> next_lengths_;
};

/// Keeps the cross-attention of a step, that of the last layer to say something.
class CrossWatcher : public ops::Recorder {
 public:
  bool wants(std::string_view place) const override { return place.ends_with(".cross"); }
  void attention(std::string_view, const Tensor& weights) override { weights_ = weights; }

  const Tensor& weights() const { return weights_; }

 private:
  Tensor weights_;  // row after row, each [H, 1, S]
};

/// The mean over heads for rows of sources so long.
void mean_over_heads(const Tensor& weights, std::span<const std::size_t> source_lengths,
                     StepAttention& attention) {
  attention.start.assign(1, 0);
  for (const auto S : source_lengths) attention.start.push_back(attention.start.back() + S);
  const std::size_t all = attention.start.back(), found = static_cast<std::size_t>(weights.elements());
  const std::size_t heads = all > 0 ? found / all : 0;
  if (heads < 1 || heads * all != found)
    throw Error(Error::Kind::bug, "decoding",
                std::to_string(found) + " weights for " + std::to_string(all) + " tokens of sources");
  attention.weights.assign(all, 0.0f);
  const float* from = weights.f32();
  for (std::size_t row = 0; row < source_lengths.size(); ++row) {
    float* mean = attention.weights.data() + attention.start[row];
    for (std::size_t h = 0; h < heads; ++h)
      for (std::size_t s = 0; s < source_lengths[row]; ++s) mean[s] += *from++ / static_cast<float>(heads);
  }
}

}  // namespace

std::unique_ptr<DecodingState> TranslationDecoder::start(
    const std::vector<std::vector<std::int32_t>>& sources) const {
  return std::make_unique<State>(model_.start(ctx_, sources), sources);
}

void TranslationDecoder::admit(DecodingState& begun,
                               const std::vector<std::vector<std::int32_t>>& sources) const {
  auto& state = static_cast<State&>(begun);
  model_.admit(ctx_, *state.state, sources);
  state.add(sources);
}

void TranslationDecoder::restrict_to(DecodingState& begun, std::span<const TokenSet> sets) const {
  auto& state = static_cast<State&>(begun);
  const auto before = state.restriction.tokens();
  state.restriction.begin(sets);
  if (!state.state->output || state.restriction.tokens() != before)
    state.state->output = model_.output_for(ctx_.exec, state.restriction.tokens());
}

Tensor TranslationDecoder::step(DecodingState& begun, std::span<const std::int32_t> tokens) const {
  auto& state = static_cast<State&>(begun);
  return state.narrowed(ctx_.exec, model_.step(ctx_, *state.state, tokens));
}

void TranslationDecoder::step_top(DecodingState& begun, std::span<const std::int32_t> tokens,
                                  const kernels::TopKChoice& choice, float* log_probs,
                                  std::int32_t* ids) const {
  auto& state = static_cast<State&>(begun);
  if (state.restriction.active())
    throw Error(Error::Kind::bug, "decoding", "rows with tokens of their own are not ranked by the model");
  model_.step_top(ctx_, *state.state, tokens, choice, log_probs, ids);
}

Tensor TranslationDecoder::last_logits(const DecodingState& state) const {
  return model_.last_logits(ctx_, *static_cast<const State&>(state).state);
}

Tensor TranslationDecoder::step_watched(DecodingState& begun, std::span<const std::int32_t> tokens,
                                        StepAttention& attention) const {
  auto& state = static_cast<State&>(begun);
  CrossWatcher watcher;
  ops::Context watched = ctx_;
  watched.recorder = &watcher;
  Tensor logits = model_.step(watched, *state.state, tokens);
  if (!watcher.weights().defined()) throw no_attention();
  mean_over_heads(watcher.weights(), state.source_lengths, attention);
  return state.narrowed(ctx_.exec, std::move(logits));
}

}  // namespace fovea::decoding
