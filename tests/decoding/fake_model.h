#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "fovea/base/random.h"
#include "fovea/decoding/model.h"
#include "fovea/kernels/top_k.h"

namespace fovea::decoding {

using Ids = std::vector<std::int32_t>;

inline constexpr float minus_infinity = -std::numeric_limits<float>::infinity();

/// A model given as a function: logits [V] after `past` (without the start token) of a source. Its state
/// holds the whole past of each row as it was fed, so a search that mixes rows up gets the answers for other
/// pasts.
class FakeModel : public StepModel {
 public:
  using Logits = std::function<std::vector<float>(const Ids& source, const Ids& past)>;

  FakeModel(std::int64_t vocabulary, Logits logits) : vocabulary_(vocabulary), logits_(std::move(logits)) {}

  struct Row {
    Ids source, fed;        // fed: the start token and all others
    TokenSet allowed = {};  // none: all
  };
  class State : public DecodingState {
   public:
    std::vector<Row> rows_;
    std::int64_t rows() const override { return static_cast<std::int64_t>(rows_.size()); }
    void reorder(std::span<const std::int32_t> parents) override {
      std::vector<Row> next;
      for (const auto parent : parents) next.push_back(rows_.at(static_cast<std::size_t>(parent)));
      rows_ = std::move(next);
    }
  };

  std::unique_ptr<DecodingState> start(const std::vector<Ids>& sources) const override {
    auto state = std::make_unique<State>();
    for (const auto& source : sources) state->rows_.push_back({source, {}});
    return state;
  }

  void admit(DecodingState& state, const std::vector<Ids>& sources) const override {
    for (const auto& source : sources) dynamic_cast<State&>(state).rows_.push_back({source, {}});
    admitted += static_cast<int>(sources.size());
  }
  mutable int admitted = 0;  // sentences that joined others

  Tensor step(DecodingState& state, std::span<const std::int32_t> tokens) const override {
    auto& rows = dynamic_cast<State&>(state).rows_;
    if (rows.size() != tokens.size()) throw std::logic_error("as many tokens as rows");
    rows_of_steps.push_back(static_cast<std::int64_t>(rows.size()));
    const bool restricted = !rows.empty() && rows.front().allowed;
    const std::int64_t width = restricted ? widest(rows) : vocabulary_;
    Tensor logits = Tensor::full({static_cast<std::int64_t>(rows.size()), width}, minus_infinity);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      rows[i].fed.push_back(tokens[i]);
      if (rows[i].fed.front() != first_token) throw std::logic_error("the start token comes first");
      const auto values = logits_(rows[i].source, {rows[i].fed.begin() + 1, rows[i].fed.end()});
      float* to = logits.f32() + static_cast<std::int64_t>(i) * width;
      if (!restricted) std::copy(values.begin(), values.end(), to);
      for (std::size_t j = 0; restricted && j < rows[i].allowed->size(); ++j)
        to[j] = values[static_cast<std::size_t>((*rows[i].allowed)[j])];
    }
    return logits;
  }

  void restrict_to(DecodingState& state, std::span<const TokenSet> sets) const override {
    auto& rows = dynamic_cast<State&>(state).rows_;
    if (rows.size() != sets.size()) throw std::logic_error("a set for each row");
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i].allowed = sets[i];
  }

  Tensor step_watched(DecodingState& state, std::span<const std::int32_t> tokens,
                      StepAttention& attention) const override {
    if (!looks) return StepModel::step_watched(state, tokens, attention);
    ++watched;
    Tensor logits = step(state, tokens);
    attention = {{}, {0}};
    for (const auto& row : dynamic_cast<State&>(state).rows_) {
      const auto weights = looks(row.source, {row.fed.begin() + 1, row.fed.end()});
      attention.weights.insert(attention.weights.end(), weights.begin(), weights.end());
      attention.start.push_back(attention.weights.size());
    }
    return logits;
  }

  static constexpr std::int32_t first_token = 1000;
  std::int32_t start_token(std::span<const std::int32_t>) const override { return first_token; }
  std::span<const std::int32_t> ends() const override { return end_ids; }
  std::int64_t vocabulary() const override { return vocabulary_; }
  std::int64_t most_steps(std::span<const std::int32_t>) const override { return positions; }
  std::span<const std::int32_t> banned() const override { return banned_ids; }
  const kernels::Execution& execution() const override { return execution_.get(); }

  /// Weights [S] with which the row looked that has the past: for models that look, none by default.
  using Looks = std::function<std::vector<float>(const Ids& source, const Ids& past)>;
  Looks looks;
  mutable int watched = 0;  // how many steps were

  Ids banned_ids, end_ids{0};
  std::int64_t positions = 1000;
  mutable std::vector<std::int64_t> rows_of_steps;  // how many rows each step had

 private:
  static std::int64_t widest(const std::vector<Row>& rows) {
    std::size_t width = kernels::top_k_limit;
    for (const Row& row : rows) width = std::max(width, row.allowed->size());
    return static_cast<std::int64_t>(width);
  }

  std::int64_t vocabulary_;
  Logits logits_;
  kernels::ExecutionOwner execution_{1};
};

/// Log-softmax in double over the ids that are not banned; -infinity for those.
inline std::vector<double> log_softmax(const std::vector<float>& logits, const Ids& banned = {}) {
  std::vector<double> result(logits.begin(), logits.end());
  for (const auto id : banned) result[static_cast<std::size_t>(id)] = minus_infinity;
  double sum = 0;
  for (const double x : result) sum += std::exp(x);
  for (double& x : result) x -= std::log(sum);
  return result;
}

/// Logits that depend on everything: source, past and token. The larger `sharpness`, the surer the model.
inline FakeModel hash_model(std::int64_t vocabulary, float sharpness = 2.0f, float eos_bonus = 0.0f) {
  return FakeModel(vocabulary, [=](const Ids& source, const Ids& past) {
    std::uint64_t hash = 1469598103934665603u;
    const auto mix = [&](std::int32_t id) {
      hash = (hash ^ static_cast<std::uint32_t>(id + 1)) * 1099511628211u;
    };
    for (const auto id : source) mix(id);
    mix(-1);
    for (const auto id : past) mix(id);
    std::vector<float> logits(static_cast<std::size_t>(vocabulary));
    for (std::size_t v = 0; v < logits.size(); ++v)
      logits[v] = sharpness * normal(RandomKey::of(hash, 0, 1), v) + (v == 0 ? eos_bonus : 0.0f);
    return logits;
  });
}

/// Logits by the last token alone; row 0 of the table follows the start.
inline FakeModel table_model(std::vector<std::vector<float>> table) {
  const auto vocabulary = static_cast<std::int64_t>(table.front().size());
  return FakeModel(vocabulary, [table = std::move(table)](const Ids&, const Ids& past) {
    return table[past.empty() ? 0 : static_cast<std::size_t>(past.back())];
  });
}

/// Logits whose softmax is these probabilities.
inline std::vector<float> logs(const std::vector<double>& probabilities) {
  std::vector<float> logits;
  for (const double p : probabilities) logits.push_back(static_cast<float>(std::log(p)));
  return logits;
}

}  // namespace fovea::decoding
