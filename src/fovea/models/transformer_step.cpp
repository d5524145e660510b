#include <algorithm>
#include <string>
#include <utility>

#include "fovea/models/transformer.h"

namespace fovea::models {
namespace {

// What rows first .. first + count - 1 of a step look at; their own keys and values become rows of the caches
// from `at` on. Vectors keep their memory from step to step.
void describe(const TransformerState& state, std::int64_t at, std::int64_t first, std::int64_t count,
              StepRows& rows) {
  for (auto* sequences : {&rows.tokens, &rows.past, &rows.source}) {
    if (!*sequences) *sequences = std::make_shared<Sequences>();
    (*sequences)->start.clear();
    (*sequences)->count.clear();
    (*sequences)->rows.clear();
  }
  rows.at = at;
  rows.position.clear();
  for (std::int64_t i = 0; i < count; ++i) {
    const auto& past = state.past[static_cast<std::size_t>(first + i)];
    const auto sentence = static_cast<std::size_t>(state.sentence[static_cast<std::size_t>(first + i)]);
    rows.position.push_back(static_cast<std::int32_t>(past.size()) - 1);
    rows.tokens->start.push_back(i);
    rows.tokens->count.push_back(1);
    rows.past->start.push_back(std::ssize(rows.past->rows));
    rows.past->count.push_back(std::ssize(past));
    rows.past->rows.insert(rows.past->rows.end(), past.begin(), past.end());
    rows.source->start.push_back(state.source_start[sentence]);
    rows.source->count.push_back(state.source_start[sentence + 1] - state.source_start[sentence]);
  }
}

}  // namespace

// Cycles of one core, roughly, for a step of so many rows: multiply-adds, or reading the weights.
double Transformer::step_cost(std::int64_t rows, std::int64_t outputs) const {
  const auto number = [](std::int64_t n) { return static_cast<double>(n); };
  const double D = number(config_.width), F = number(config_.feed_forward);
  const double K = number(config_.heads * config_.d_k()), V = number(config_.heads * config_.d_v());
  const double layer = 3 * D * (K + V) + 2 * D * F;
  const double weights = number(config_.decoder_layers) * layer + number(outputs) * D;
  return weights * std::max(number(rows) / 16, 0.16);
}

// How many threads take rows of a step through all layers, each by itself; 0: all threads share each product.
// A step of some 100 us is not worth waking anyone. One that is gains by a thread for each share of the rows,
// if both can read all of the weights from the last cache: then they meet once a step, not at each product.
int Transformer::shares_of(const ops::Context& ctx, std::int64_t rows, std::int64_t outputs) const {
  constexpr double worth_waking = 400e3, shared_cache = 16e6, least_rows = 8;
  const int threads = ctx.exec.pool->size();
  if (threads == 1 || ctx.recorder || ctx.tape) return 0;
  if (step_cost(rows, outputs) < worth_waking) return 1;
  const double layers = 4 * step_cost(16, 0);  // bytes
  return layers <= shared_cache && static_cast<double>(rows) >= least_rows * threads ? threads : 0;
}

// Rows first on, through all layers: their states [N, D].
Tensor Transformer::step_rows(const ops::Context& ctx, const TransformerState& state,
                              std::span<const std::int32_t> tokens, std::int64_t first,
                              StepRows& rows) const {
  const std::int64_t before = state.cache.front().rows() - state.rows();
  describe(state, before + first, first, std::ssize(tokens), rows);
  Tensor x_ND = embed(ctx, tokens, rows.position, target_embedding_, positions(decoder_positions_), {});
  for (std::size_t n = 0; n < decoder_.size(); ++n)
    x_ND = decoder_[n].step(ctx, x_ND, state.keys_values[n], state.cache[n], rows);
  return decoder_norm_ ? (*decoder_norm_)(ctx, x_ND) : x_ND;
}

Tensor Transformer::step(const ops::Context& ctx, TranslationState& begun,
                         std::span<const std::int32_t> tokens) const {
  auto& state = static_cast<TransformerState&>(begun);
  const std::int64_t N = state.rows();
  if (std::ssize(tokens) != N)
    throw Error(Error::Kind::bug, "transformer: step",
                std::to_string(tokens.size()) + " tokens for " + std::to_string(N) + " rows");
  for (std::int64_t i = 0; i < N; ++i)
    state.past[static_cast<std::size_t>(i)].push_back(
        static_cast<std::int32_t>(state.cache.front().rows() + i));
  for (std::size_t n = 0; n < decoder_.size(); ++n) state.cache[n].extend(N, decoder_[n].cache_width());

  const auto through_output = [&](const ops::Context& how, const Tensor& x_ND) {
    return state.output ? (*state.output)(how, x_ND) : logits(how, x_ND);
  };
  const int shares = shares_of(ctx, N, state.output ? state.output->outputs() : config_.target_vocabulary);
  while (std::cmp_less(state.shares.size(), std::max(shares, 1)))
    state.shares.push_back(std::make_unique<StepShare>(ctx.exec.kernels));
  ops::Context alone = ctx;
  alone.exec = state.shares[0]->alone.get();
  if (shares <= 1) {
    const ops::Context& how = shares == 0 ? ctx : alone;
    return through_output(how, step_rows(how, state, tokens, 0, state.shares[0]->rows));
  }
  const Tensor states_ND = Tensor::empty({N, config_.width});
  ctx.exec.pool->run([&](int worker) {
    const std::int64_t first = N * worker / shares, count = N * (worker + 1) / shares - first;
    StepShare& share = *state.shares[static_cast<std::size_t>(worker)];
    ops::Context own = ctx;
    own.exec = share.alone.get();
    const auto some = tokens.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
    const Tensor x_ND = step_rows(own, state, some, first, share.rows);
    std::ranges::copy(x_ND.values(), states_ND.f32() + first * config_.width);
  });
  return through_output(ctx, states_ND);
}

std::shared_ptr<const nn::PartialLinear> Transformer::output_for(const kernels::Execution& exec,
                                                                 std::span<const std::int32_t> tokens) const {
  return std::make_shared<nn::PartialLinear>(exec, *output_, output_bias(), tokens);
}

}  // namespace fovea::models
