#include "fovea/decoding/pair_scorer.h"

#include <algorithm>
#include <array>
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

}  // namespace

PairScorer::Pair PairScorer::pair_of(std::string_view source, std::string_view target) const {
  Pair pair{tokenizer_.encode_source(source), tokenizer_.encode_target(target)};
  pair.target.pop_back();
  return pair;
}

bool PairScorer::fits(const Pair& pair) const {
  const std::int64_t most = model_.max_positions();
  return std::ssize(pair.source) <= most && std::ssize(pair.target) < most;
}

std::vector<PairScorer::Scores> PairScorer::score(std::span<const Pair> pairs) const {
  constexpr std::int64_t most_tokens = 4096, most_logits = std::int64_t{1} << 24;
  const std::int64_t rows =
      std::clamp(most_logits / model_.vocabulary().target, std::int64_t{1}, most_tokens);
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    expect_ids(pairs[i].source, model_.vocabulary().source, i);
    expect_ids(pairs[i].target, model_.vocabulary().target, i);
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
  const auto vocabulary = model_.vocabulary();
  std::vector<std::int32_t> source, source_start{0}, target_in, target_out, target_start{0};
  for (const auto i : batch) {
    const auto& [x, y] = pairs[i];
    source.insert(source.end(), x.begin(), x.end());
    source_start.push_back(static_cast<std::int32_t>(source.size()));
    target_in.push_back(vocabulary.pad);
    target_in.insert(target_in.end(), y.begin(), y.end());
    target_out.insert(target_out.end(), y.begin(), y.end());
    target_out.push_back(vocabulary.eos);
    target_start.push_back(static_cast<std::int32_t>(target_in.size()));
  }
  const Tensor logits = model_.predict(ctx_, {source, source_start, target_in, target_out, target_start});
  const std::int64_t N = std::ssize(target_out), V = vocabulary.target;
  expect_shape(logits, {N, V}, "scores: logits of target tokens");
  // The best token's log-probability says what the sum over the vocabulary is.
  std::vector<float> best(target_out.size());
  std::vector<std::int32_t> ids(target_out.size());
  const std::array<std::int32_t, 1> banned{vocabulary.pad};
  kernels::top_k_log_softmax(ctx_.exec, N, V, 1, logits.f32(), banned.data(), 1, best.data(), ids.data());
  for (std::size_t b = 0; b < batch.size(); ++b) {
    for (auto t = static_cast<std::size_t>(target_start[b]);
         t < static_cast<std::size_t>(target_start[b + 1]); ++t) {
      const float* row = logits.f32() + static_cast<std::int64_t>(t) * V;
      if (!std::isfinite(best[t]))
        throw Error(Error::Kind::model, "pair " + std::to_string(batch[b] + 1),
                    "the logits of token " +
                        std::to_string(t - static_cast<std::size_t>(target_start[b]) + 1) + " are no numbers",
                    "the model's weights are damaged, or its training diverged");
      const float score =
          target_out[t] == vocabulary.pad ? -infinity : row[target_out[t]] - row[ids[t]] + best[t];
      scores[batch[b]].push_back(std::min(score, 0.0f));
    }
  }
}

}  // namespace fovea::decoding
