#include "fovea/decoding/language_decoder.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "fovea/decoding/seen_states.h"

namespace fovea::decoding {
namespace {

using Texts = std::vector<std::vector<std::int32_t>>;

void expect_ids(std::span<const std::int32_t> ids, std::int64_t vocabulary, Error::Kind kind,
                const char* where) {
  for (const auto id : ids)
    if (id < 0 || id >= vocabulary)
      throw Error(kind, where,
                  "token " + std::to_string(id) + " is not among the model's " + std::to_string(vocabulary));
}

// What start() reads of prompts: all but the last token, which the first step is given.
Texts beginnings(const Texts& prompts) {
  Texts texts = prompts;
  for (auto& text : texts) text.pop_back();
  return texts;
}

}  // namespace

class LanguageDecoder::State : public DecodingState {
 public:
  explicit State(std::unique_ptr<models::LanguageState> state) : state(std::move(state)) {}
  std::int64_t rows() const override { return state->rows(); }
  void reorder(std::span<const std::int32_t> parents) override {
    state->reorder(parents);
    if (seen.rows() > 0) seen.reorder(parents);
    if (texts.empty()) return;
    Texts next;
    for (const auto parent : parents) next.push_back(texts[static_cast<std::size_t>(parent)]);
    texts.swap(next);
  }

  std::unique_ptr<models::LanguageState> state;
  Texts texts;      // what each row has read since it last slid, if rows slide
  SeenStates seen;  // if rows are compared
};

LanguageDecoder::LanguageDecoder(const models::LanguageModel& model, const kernels::Execution& exec,
                                 const LanguageDecoderOptions& options)
    : model_(model),
      vocabulary_(model.vocabulary()),
      ends_(options.ends.value_or(vocabulary_.eos)),
      options_(options) {
  ctx_.exec = exec;
  expect_ids(ends_, vocabulary_.size, Error::Kind::model, "eos_token_id");
}

std::unique_ptr<DecodingState> LanguageDecoder::start(const Texts& prompts) const {
  auto state = std::make_unique<State>(model_.start(ctx_, {}));
  admit(*state, prompts);
  return state;
}

void LanguageDecoder::admit(DecodingState& begun, const Texts& prompts) const {
  auto& state = static_cast<State&>(begun);
  for (const auto& prompt : prompts) {
    expect_ids(prompt, vocabulary_.size, Error::Kind::usage, "prompt");
    if (prompt.empty())
      throw Error(Error::Kind::usage, "prompt", "has no token",
                  "begin with a word, or with the model's bos token");
    if (std::ssize(prompt) > model_.max_positions())
      throw Error(Error::Kind::usage, "prompt",
                  "has " + std::to_string(prompt.size()) + " tokens, the model reads " +
                      std::to_string(model_.max_positions()),
                  "cut it");
  }
  const Texts texts = beginnings(prompts);
  Tensor states;
  model_.admit(ctx_, *state.state, texts, options_.compares ? &states : nullptr);
  if (options_.slides) state.texts.insert(state.texts.end(), texts.begin(), texts.end());
  if (!options_.compares) return;
  std::vector<std::int64_t> counts;
  for (const auto& text : texts) counts.push_back(std::ssize(text));
  state.seen.admit(ctx_.exec, states, counts);
}

// The newer half of what a row has read.
std::vector<std::int32_t> LanguageDecoder::kept(std::span<const std::int32_t> text) const {
  const auto newer = text.last(static_cast<std::size_t>(model_.max_positions() / 2));
  std::vector<std::int32_t> kept(newer.begin(), newer.end());
  if (!kept.empty() && vocabulary_.bos == text.front()) kept.front() = text.front();
  return kept;
}

void LanguageDecoder::slide(State& state) const {
  std::vector<std::int32_t> parents(static_cast<std::size_t>(state.rows()));
  std::iota(parents.begin(), parents.end(), 0);
  Texts again;
  for (std::size_t i = 0; i < parents.size(); ++i) {
    if (state.state->length(static_cast<std::int64_t>(i)) < model_.max_positions()) continue;
    parents[i] = static_cast<std::int32_t>(parents.size() + again.size());
    state.texts[i] = kept(state.texts[i]);
    again.push_back(state.texts[i]);
  }
  if (again.empty()) return;
  model_.admit(ctx_, *state.state, again);
  state.state->reorder(parents);
}

Tensor LanguageDecoder::take_step(State& state, std::span<const std::int32_t> tokens, Tensor* states) const {
  if (options_.slides) {
    slide(state);
    for (std::size_t i = 0; i < tokens.size(); ++i) state.texts[i].push_back(tokens[i]);
  }
  return model_.step(ctx_, *state.state, tokens, states);
}

Tensor LanguageDecoder::step(DecodingState& begun, std::span<const std::int32_t> tokens) const {
  return take_step(static_cast<State&>(begun), tokens, nullptr);
}

Tensor LanguageDecoder::step_compared(DecodingState& begun, std::span<const std::int32_t> tokens,
                                      std::vector<float>& likeness) const {
  if (!options_.compares) return StepModel::step_compared(begun, tokens, likeness);
  auto& state = static_cast<State&>(begun);
  Tensor states;
  Tensor logits = take_step(state, tokens, &states);
  state.seen.add(ctx_.exec, states, likeness);
  return logits;
}

std::int32_t LanguageDecoder::start_token(std::span<const std::int32_t> prompt) const {
  return prompt.empty() ? 0 : prompt.back();  // start() says what is wrong with an empty one
}

std::int64_t LanguageDecoder::most_steps(std::span<const std::int32_t> prompt) const {
  if (options_.slides) return std::numeric_limits<std::int64_t>::max() / 4;
  return model_.max_positions() - std::ssize(prompt) + 1;
}

}  // namespace fovea::decoding
