#include "fovea/models/watch.h"

#include <algorithm>
#include <cmath>

#include "fovea/base/error.h"

namespace fovea::models {
namespace {

// tokens: with the end or the start of sentence.
void expect_room(std::size_t tokens, std::string_view side, std::int64_t max_positions) {
  const auto takes = static_cast<std::size_t>(max_positions);
  const std::size_t most = std::min(most_watched_tokens, takes);
  if (tokens <= most) return;
  throw Error(
      Error::Kind::usage, std::string(side),
      std::to_string(tokens) + " tokens; " +
          (takes <= most_watched_tokens ? "the model takes at most " : "attention is recorded of at most ") +
          std::to_string(most),
      "look at one sentence, or part of it, at a time");
}

void expect_numbers(const attention::Recording& recording) {
  for (const auto& layer : recording.layers)
    if (!std::ranges::all_of(layer.weights_HTS.values(), [](float w) { return std::isfinite(w); }))
      throw Error(Error::Kind::model, std::string(name(layer.side)) + " layer " + std::to_string(layer.layer),
                  "attention weights are not numbers: the model's weights are damaged",
                  "fovea inspect names the tensors that hold NaN or infinities");
}

ops::Context recorded(ops::Context ctx, attention::Record& record) {
  ctx.recorder = &record;
  return ctx;
}

[[noreturn]] void nothing_to_see() {
  throw Error(Error::Kind::model, "attention", "the model has none: there is nothing to see",
              "choose a model that attends");
}

}  // namespace

attention::Recording watch(const ops::Context& ctx, const TranslationModel& model,
                           std::span<const std::int32_t> source, std::span<const std::int32_t> target,
                           const PieceNames& source_pieces, const PieceNames& target_pieces) {
  expect_room(source.size(), "source", model.max_positions());
  expect_room(target.size() + 1, "target", model.max_positions());
  attention::Record record;
  model.read(recorded(ctx, record), source, target);

  std::vector<std::int32_t> produced(target.begin(), target.end());
  produced.push_back(model.vocabulary().eos);
  std::vector<std::string> target_out = target_pieces(produced), target_in{"<s>"};
  target_in.insert(target_in.end(), target_out.begin(), target_out.end() - 1);
  attention::Recording found =
      attention::recording(record, source_pieces(source), std::move(target_in), std::move(target_out));
  if (found.layers.empty()) nothing_to_see();
  expect_numbers(found);
  return found;
}

attention::Recording watch(const ops::Context& ctx, const LanguageModel& model,
                           std::span<const std::int32_t> text, std::vector<std::string> pieces) {
  expect_room(text.size(), "text", model.max_positions());
  attention::Record record;
  model.read(recorded(ctx, record), text);
  auto found = attention::recording(record, attention::Side::decoder, std::move(pieces));
  expect_numbers(found);
  return found;
}

attention::Recording watch(const ops::Context& ctx, const Bert& model, WatchedText text) {
  expect_room(text.tokens.size(), "text", model.max_tokens());
  attention::Record record;
  const std::int32_t start[] = {0, static_cast<std::int32_t>(text.tokens.size())};
  model.states(recorded(ctx, record), {.tokens = text.tokens, .types = text.types, .start = start});
  auto found = attention::recording(record, attention::Side::encoder, std::move(text.pieces));
  found.second = text.second;
  expect_numbers(found);
  return found;
}

attention::Recording watch(const ops::Context& ctx, const RecurrentClassifier& model, WatchedText text) {
  expect_room(text.tokens.size(), "text", model.max_tokens());
  attention::Record record;
  const std::int32_t start[] = {0, static_cast<std::int32_t>(text.tokens.size())};
  const Tensor logits =
      model.logits(recorded(ctx, record), {.tokens = text.tokens, .types = text.types, .start = start});
  if (record.calls().empty()) nothing_to_see();
  const auto best = std::ranges::max_element(logits.values()) - logits.values().begin();
  auto found = attention::recording(record, std::move(text.pieces), {"<s>"},
                                    {model.classes().names[static_cast<std::size_t>(best)]});
  found.second = text.second;
  expect_numbers(found);
  return found;
}

}  // namespace fovea::models
