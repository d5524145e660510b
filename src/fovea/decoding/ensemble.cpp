#include "fovea/decoding/ensemble.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "fovea/base/error.h"

namespace fovea::decoding {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

struct State : DecodingState {
  std::vector<std::unique_ptr<DecodingState>> states;  // a model each
  bool restricted = false;
  std::int64_t rows() const override { return states.front()->rows(); }
  void reorder(std::span<const std::int32_t> parents) override {
    for (auto& state : states) state->reorder(parents);
  }
};

// In place: log softmax over the ids that are not banned; -infinity for those. NaN and +infinity make NaN.
void log_softmax(std::span<float> row, std::span<const std::int32_t> banned) {
  for (const auto id : banned)
    if (id >= 0 && id < std::ssize(row)) row[static_cast<std::size_t>(id)] = -infinity;
  const float best = *std::ranges::max_element(row);
  if (best == -infinity) return;
  double sum = 0.0;
  for (const float x : row) sum += static_cast<double>(std::exp(x - best));
  const auto log_sum = static_cast<float>(std::log(sum));
  for (float& x : row) x = x - best - log_sum;
}

// log of the mean of exp(a_m), entry by entry, into the first row. Log-probabilities are at most 0: no
// overflow; what underflows even as a double counts as impossible.
void log_mean_exp(const std::vector<std::span<float>>& rows) {
  for (std::size_t v = 0; v < rows.front().size(); ++v) {
    double sum = 0.0;
    for (const auto& row : rows) sum += std::exp(static_cast<double>(row[v]));
    rows.front()[v] = static_cast<float>(std::log(sum / static_cast<double>(rows.size())));
  }
}

// The mean, entry by entry, into the first row.
void mean_of_rows(const std::vector<std::span<float>>& rows) {
  for (std::size_t m = 1; m < rows.size(); ++m)
    for (std::size_t v = 0; v < rows[m].size(); ++v) rows.front()[v] += rows[m][v];
  for (float& x : rows.front()) x /= static_cast<float>(rows.size());
}

}  // namespace

void average_logits(const kernels::Execution& exec, std::span<const Tensor> logits,
                    std::span<const std::int32_t> banned, EnsembleMean mean) {
  const std::int64_t R = logits.front().dim(0), V = logits.front().dim(1);
  for (const Tensor& one : logits) expect_shape(one, {R, V}, "ensemble: logits of a step");
  exec.pool->parallel_for(R, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<std::span<float>> rows(logits.size());
    for (std::int64_t r = begin; r < end; ++r) {
      for (std::size_t m = 0; m < logits.size(); ++m) {
        rows[m] = std::span(logits[m].f32() + r * V, static_cast<std::size_t>(V));
        log_softmax(rows[m], banned);
      }
      if (mean == EnsembleMean::probabilities)
        log_mean_exp(rows);
      else
        mean_of_rows(rows);
    }
  });
}

Ensemble::Ensemble(std::vector<std::unique_ptr<const StepModel>> models, Mean mean)
    : models_(std::move(models)), mean_(mean) {
  if (models_.empty())
    throw Error(Error::Kind::usage, "ensemble", "there is no model in it", "give at least one");
  const StepModel& first = *models_.front();
  for (const auto& model : models_)
    if (model->vocabulary() != first.vocabulary() || model->continues() != first.continues() ||
        (!first.continues() && model->start_token({}) != first.start_token({})) ||
        !std::ranges::equal(model->ends(), first.ends()) ||
        !std::ranges::equal(model->banned(), first.banned()))
      throw Error(Error::Kind::model, "ensemble",
                  "a model of " + std::to_string(model->vocabulary()) +
                      " tokens or other special ones stands beside one of " +
                      std::to_string(first.vocabulary()),
                  "take models that were trained with one tokenizer");
}

std::int64_t Ensemble::most_steps(std::span<const std::int32_t> source) const {
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  for (const auto& model : models_) least = std::min(least, model->most_steps(source));
  return least;
}

std::unique_ptr<DecodingState> Ensemble::start(const std::vector<std::vector<std::int32_t>>& sources) const {
  auto state = std::make_unique<State>();
  for (const auto& model : models_) state->states.push_back(model->start(sources));
  return state;
}

void Ensemble::admit(DecodingState& begun, const std::vector<std::vector<std::int32_t>>& sources) const {
  auto& state = static_cast<State&>(begun);
  for (std::size_t m = 0; m < models_.size(); ++m) models_[m]->admit(*state.states[m], sources);
}

void Ensemble::restrict_to(DecodingState& begun, std::span<const TokenSet> sets) const {
  auto& state = static_cast<State&>(begun);
  for (std::size_t m = 0; m < models_.size(); ++m) models_[m]->restrict_to(*state.states[m], sets);
  state.restricted = true;
}

Tensor Ensemble::step(DecodingState& begun, std::span<const std::int32_t> tokens) const {
  auto& state = static_cast<State&>(begun);
  std::vector<Tensor> logits;
  for (std::size_t m = 0; m < models_.size(); ++m)
    logits.push_back(models_[m]->step(*state.states[m], tokens));
  return mean_of(logits, state.restricted);
}

Tensor Ensemble::step_watched(DecodingState& begun, std::span<const std::int32_t> tokens,
                              StepAttention& attention) const {
  auto& state = static_cast<State&>(begun);
  std::vector<Tensor> logits;
  StepAttention one;
  for (std::size_t m = 0; m < models_.size(); ++m) {
    logits.push_back(models_[m]->step_watched(*state.states[m], tokens, one));
    if (m == 0) attention = {std::vector<float>(one.weights.size()), one.start};
    if (one.start != attention.start)
      throw Error(Error::Kind::bug, "ensemble", "models look at different sources");
    for (std::size_t i = 0; i < one.weights.size(); ++i)
      attention.weights[i] += one.weights[i] / static_cast<float>(models_.size());
  }
  return mean_of(logits, state.restricted);
}

// Of a row that is restricted banned ids are no part.
Tensor Ensemble::mean_of(const std::vector<Tensor>& logits, bool restricted) const {
  average_logits(execution(), logits, restricted ? std::span<const std::int32_t>() : banned(), mean_);
  return logits.front();
}

}  // namespace fovea::decoding
