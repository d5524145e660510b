#include "fovea/decoding/pair_scorer.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "fovea/base/error.h"
#include "fovea/kernels/top_k.h"

namespace fovea::decoding {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

void expect_ids(std::span<const std::int32_t> ids, std::int64_t vocabulary, std::size_t pair) {
  for (const auto id : ids)
    if (id < 0 || id >= vocabulary)
      throw Error(Error::Kind::usage, "pair " + std::to_string(pair + 1),
                  "token " + std::to_string(id) + " is not among the model's " + std::to_string(vocabulary));
}

using Models = std::vector<const models::TranslationModel*>;

Models pointers(std::span<const std::unique_ptr<models::TranslationModel>> models) {
  Models found;
  for (const auto& model : models) found.push_back(model.get());
  return found;
}

models::TranslationVocabulary common_vocabulary(const Models& models) {
  if (models.empty()) throw Error(Error::Kind::usage, "scores", "there is no model", "give at least one");
  const auto first = models.front()->vocabulary();
  for (const auto* model : models)
    if (model->vocabulary() != first)
      throw Error(Error::Kind::model, "scores", "the models' vocabularies or special tokens differ",
                  "take models that were trained with one tokenizer");
  return first;
}

std::int64_t fewest_positions(const Models& models) {
  std::int64_t fewest = std::numeric_limits<std::int64_t>::max();
  for (const auto* model : models) fewest = std::min(fewest, model->max_positions());
  return fewest;
}

}  // namespace

PairScorer::PairScorer(Models models, const text::TranslationTokenizer& tokenizer,
                       const kernels::Execution& exec, EnsembleMean mean)
    : models_(std::move(models)),
      tokenizer_(tokenizer),
      mean_(mean),
      vocabulary_(common_vocabulary(models_)),
      max_positions_(fewest_positions(models_)) {
  ctx_.exec = exec;
}

PairScorer::PairScorer(const models::TranslationModel& model, const text::TranslationTokenizer& tokenizer,
                       const kernels::Execution& exec)
    : PairScorer(Models{&model}, tokenizer, exec, {}) {}

PairScorer::PairScorer(std::span<const std::unique_ptr<models::TranslationModel>> models,
                       const text::TranslationTokenizer& tokenizer, const kernels::Execution& exec,
                       EnsembleMean mean)
    : PairScorer(pointers(models), tokenizer, exec, mean) {}

PairScorer::Pair PairScorer::pair_of(std::string_view source, std::string_view target) const {
  Pair pair{tokenizer_.encode_source(source), tokenizer_.encode_target(target)};
  pair.target.pop_back();
  return pair;
}

bool PairScorer::fits(const Pair& pair) const {
  return std::ssize(pair.source) <= max_positions_ && std::ssize(pair.target) < max_positions_;
}

// Logits [N, V] of all models together.
Tensor PairScorer::predict(const models::TranslationBatch& batch) const {
  std::vector<Tensor> logits;
  for (const auto* model : models_) logits.push_back(model->predict(ctx_, batch));
  const auto banned = vocabulary_.never();
  if (logits.size() > 1) average_logits(ctx_.exec, logits, banned, mean_);
  return logits.front();
}

std::vector<PairScorer::Scores> PairScorer::score(std::span<const Pair> pairs) const {
  constexpr std::int64_t most_tokens = 4096, most_logits = std::int64_t{1} << 24;
  const std::int64_t rows =
      std::clamp(most_logits / (vocabulary_.target * std::ssize(models_)), std::int64_t{1}, most_tokens);
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    expect_ids(pairs[i].source, vocabulary_.source, i);
    expect_ids(pairs[i].target, vocabulary_.target, i);
    if (fits(pairs[i]) && !pairs[i].source.empty()) order.push_back(i);
  }
  std::ranges::stable_sort(order, std::greater(), [&](std::size_t i) { return pairs[i].target.size(); });
  std::vector<Scores> scores(pairs.size());
  for (std::size_t first = 0, last = 0; first < order.size(); first = last) {
    std::int64_t source = 0, target = 0;
    for (; last < order.size(); ++last) {
      source += std::ssize(pairs[order[last]].source);
      target += std::ssize(pairs[order[last]].target) + 1;
      if (last > first && (source > most_tokens || target > rows)) break;
    }
    score_batch(pairs, std::span(order).subspan(first, last - first), scores);
  }
  return scores;
}

void PairScorer::score_batch(std::span<const Pair> pairs, std::span<const std::size_t> batch,
                             std::vector<Scores>& scores) const {
  std::vector<std::int32_t> source, source_start{0}, target_in, target_out, target_start{0};
  for (const auto i : batch) {
    const auto& [x, y] = pairs[i];
    source.insert(source.end(), x.begin(), x.end());
    source_start.push_back(static_cast<std::int32_t>(source.size()));
    target_in.push_back(vocabulary_.start);
    target_in.insert(target_in.end(), y.begin(), y.end());
    target_out.insert(target_out.end(), y.begin(), y.end());
    target_out.push_back(vocabulary_.eos);
    target_start.push_back(static_cast<std::int32_t>(target_in.size()));
  }
  const Tensor logits = predict({source, source_start, target_in, target_out, target_start});
  const std::int64_t N = std::ssize(target_out), V = vocabulary_.target;
  expect_shape(logits, {N, V}, "scores: logits of target tokens");
  // The best token's log-probability says what the sum over the vocabulary is.
  std::vector<float> best(target_out.size());
  std::vector<std::int32_t> ids(target_out.size());
  const auto banned = vocabulary_.never();
  kernels::top_k_log_softmax(ctx_.exec, N, V, 1, logits.f32(), banned.data(), std::ssize(banned), best.data(),
                             ids.data());
  for (std::size_t b = 0; b < batch.size(); ++b) {
    for (auto t = static_cast<std::size_t>(target_start[b]);
         t < static_cast<std::size_t>(target_start[b + 1]); ++t) {
      const float* row = logits.f32() + static_cast<std::int64_t>(t) * V;
      if (!std::isfinite(best[t]))
        throw Error(Error::Kind::model, "pair " + std::to_string(batch[b] + 1),
                    "the logits of token " +
                        std::to_string(t - static_cast<std::size_t>(target_start[b]) + 1) + " are no numbers",
                    "the model's weights are damaged, or its training diverged");
      const float score = std::ranges::count(banned, target_out[t]) > 0
                              ? -infinity
                              : row[target_out[t]] - row[ids[t]] + best[t];
      scores[batch[b]].push_back(std::min(score, 0.0f));
    }
  }
}

}  // namespace fovea::decoding
