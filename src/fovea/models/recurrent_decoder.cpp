#include "fovea/models/recurrent_decoder.h"

#include <algorithm>
#include <numeric>

#include "fovea/models/row_selection.h"
#include "fovea/ops/dropout.h"
#include "fovea/ops/elementwise.h"
#include "fovea/ops/embed.h"
#include "fovea/ops/pairs_coverage.h"
#include "fovea/ops/rows.h"

namespace fovea::models {
namespace {

using attention::Memory;
using attention::Normaliser;
using attention::Sequences;
using nn::RecurrentCell;
using ops::Context;
using Order = RecurrentConfig::Order;
using Window = RecurrentConfig::Window;

// Filters of the location-aware score: Chorowski et al. use 201 keys for frames of speech; sentences are
// short.
constexpr std::int64_t location_filters = 10, location_width = 15;

bool compares_as_they_are(std::string_view score) {
  return score == "dot" || score == "scaled_dot" || score == "cosine";
}

std::int64_t key_width(const RecurrentConfig& config) {
  return compares_as_they_are(config.score) ? config.width : config.memory_width();
}

// Whether a product of queries and keys goes through a matrix that is learned: of keys wider than queries, or
// the general score's own.
bool learns_a_map(const RecurrentConfig& config) {
  return config.score == "general" || config.memory_width() != config.width;
}

std::shared_ptr<const attention::Score> score_of(nn::Builder& builder, const std::string& name,
                                                 const RecurrentConfig& config) {
  const std::int64_t hidden = config.attention_width / config.attention_heads;
  if (config.score == "location")
    return std::make_shared<attention::LocationScore>(
        builder, name, config.width, config.memory_width(),
        attention::ScoreHeads{config.attention_heads, config.attention_heads, hidden}, location_filters,
        location_width);
  return attention::make_score(builder, name,
                               {.name = config.score,
                                .query_width = config.width,
                                .key_width = key_width(config),
                                .heads = config.attention_heads,
                                .width = hidden,
                                .layers = config.match_layers,
                                .scaled = learns_a_map(config)});
}

// 1 where key j of each row is within `reach` of its position: [R, 1, 1, S].
Tensor near(const Sequences& keys, const DecoderState& state, std::int64_t reach) {
  const std::int64_t longest = keys.count.empty() ? 0 : *std::ranges::max_element(keys.count);
  Tensor mask = Tensor::empty({keys.size(), 1, 1, longest}, DType::i8);
  auto* at = reinterpret_cast<std::uint8_t*>(mask.raw());
  for (std::int64_t r = 0; r < keys.size(); ++r) {
    const std::int64_t position =
        state.positions.empty() ? state.position : state.positions[static_cast<std::size_t>(r)];
    for (std::int64_t j = 0; j < longest; ++j) *at++ = j >= position - reach && j <= position + reach;
  }
  return mask;
}

// What monotonic attention goes on from: the weights of the step before; of rows at their first step, key 0.
Tensor weights_before(const Sequences& keys, std::int64_t heads, const DecoderState& state) {
  if (std::ranges::count(state.positions, 0) == 0) return state.previous;
  Tensor weights = state.previous.clone();
  float* at = weights.f32();
  for (std::size_t r = 0; r < keys.count.size(); ++r)
    for (std::int64_t h = 0; h < heads; ++h, at += keys.count[r])
      if (state.positions[r] == 0 && keys.count[r] > 0) *at = 1.0f;
  return weights;
}

}  // namespace

RecurrentDecoder::RecurrentDecoder(nn::Builder& builder, const std::string& name,
                                   const RecurrentConfig& config)
    : config_(config), place_(name + ".0.cross") {
  const std::int64_t H = config.width, E = config.embedding, M = config.memory_width();
  const nn::RecurrentOptions cell{.cell = config.cell,
                                  .input = E,
                                  .hidden = H,
                                  .state_dropout = config.variational ? config.dropout : 0.0f,
                                  .forget_bias = 1.0f};
  nn::RecurrentOptions upper = cell, between = cell;
  upper.input = H;
  between.input = M;
  const std::int64_t feedback = config.order == Order::bahdanau ? M : config.input_feeding ? E : 0;
  cells_.emplace_back(builder, name + ".layers.0", cell, feedback);
  for (std::int64_t n = 1; n < config.decoder_layers; ++n)
    cells_.emplace_back(builder, name + ".layers." + std::to_string(n), upper);
  if (config.order == Order::conditional) second_.emplace(builder, name + ".conditional", between);
  if (config.attends()) {
    score_ = score_of(builder, name + ".attention", config);
    if (compares_as_they_are(config.score) && M != H)
      key_map_.emplace(builder, name + ".attention.key_map", M, H, nn::Bias::without);
    if (config.normaliser == Normaliser::monotonic)
      energy_bias_ = builder.parameters().add(name + ".attention.energy_bias", {1, 1, 1, 1}, {});
    if (config.coverage)
      coverage_ = builder.parameters().add(name + ".attention.coverage", {config.attention_width, 1},
                                           nn::Initial::xavier(1, config.attention_width));
    if (config.window == Window::local_p) {
      centre_in_.emplace(builder, name + ".attention.centre_in", H, H, nn::Bias::without);
      centre_.emplace(builder, name + ".attention.centre", H, 1, nn::Bias::without);
    }
  }
  if (config.start != RecurrentConfig::Start::zeros)
    for (std::int64_t n = 0; n < config.decoder_layers; ++n) {
      start_h_.emplace_back(builder, name + ".start_h." + std::to_string(n), M, H);
      if (config.cell == nn::Recurrence::lstm)
        start_c_.emplace_back(builder, name + ".start_c." + std::to_string(n), M, H);
    }
  const auto weight = [&](const char* part, std::int64_t in) {
    return builder.parameters().add(name + ".readout." + part, {E, in}, nn::Initial::xavier(in, E));
  };
  W_s_ = weight("state", H);
  W_c_ = weight("context", M);
  if (config.order != Order::luong) W_e_ = weight("input", E);
  b_ = builder.parameters().add(name + ".readout.bias", {E}, nn::Initial::zeros());
  attention_site_ = builder.next_site();
  noise_site_ = builder.next_site();
  layer_site_ = builder.next_site();
}

Memory RecurrentDecoder::remember(const Context& ctx, const Tensor& h,
                                  const std::shared_ptr<const Sequences>& sentences, Looks looks) const {
  const Tensor keys = key_map_ ? (*key_map_)(ctx, h) : h;
  const auto prepare = looks == Looks::stepwise ? attention::remember_stepwise : attention::remember;
  return prepare(ctx, *score_, {keys}, {h}, config_.memory_width() / config_.attention_heads, sentences);
}

DecoderState RecurrentDecoder::begin(const Context& ctx, const Tensor& summary) const {
  DecoderState state;
  const std::int64_t rows = summary.dim(0);
  const auto first = [&](const std::vector<nn::Linear>& maps, std::int64_t n) {
    if (maps.empty()) return Tensor::zeros({rows, config_.width});
    return maps[static_cast<std::size_t>(n)](ctx, summary, {.activation = kernels::Activation::tanh});
  };
  for (std::int64_t n = 0; n < config_.decoder_layers; ++n) {
    state.layers.push_back({first(start_h_, n), {}});
    if (config_.cell == nn::Recurrence::lstm) state.layers.back().c = first(start_c_, n);
  }
  if (config_.input_feeding) state.fed = Tensor::zeros({rows, config_.embedding});
  return state;
}

DecoderState RecurrentDecoder::begin_decoding(const Context& ctx, const Tensor& summary,
                                              const Memory& memory) const {
  DecoderState state = begin(ctx, summary);
  state.decides = true;
  state.positions.assign(static_cast<std::size_t>(summary.dim(0)), 0);
  if (!score_ || !carries_weights()) return state;
  const auto& counts = memory.sequences->count;
  const std::int64_t pairs =
      config_.attention_heads * std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
  state.previous = state.coverage = Tensor::zeros({pairs});
  return state;
}

Tensor RecurrentDecoder::readout(const Context& ctx, const Tensor& s, const Tensor& c,
                                 const Tensor& embedded) const {
  Tensor sum =
      ops::add(ctx, ops::linear(ctx, s, W_s_->value, b_->value), ops::linear(ctx, c, W_c_->value, {}));
  if (W_e_) sum = ops::add(ctx, sum, ops::linear(ctx, embedded, W_e_->value, {}));
  return ops::activate(ctx, sum, kernels::Activation::tanh);
}

attention::AttendOptions RecurrentDecoder::options(const Context& ctx, const Tensor& query,
                                                   const std::shared_ptr<const Sequences>& queries,
                                                   const Memory& memory, const DecoderState& state) const {
  const std::int64_t position = state.position;
  attention::AttendOptions how;
  how.normaliser = config_.normaliser;
  how.dropping = {config_.attention_dropout, site_at(attention_site_, position)};
  how.place = place_;
  if (config_.normaliser == Normaliser::monotonic) {
    how.monotonic = {.mode = state.decides ? ops::MonotonicMode::hard : ops::MonotonicMode::recursive,
                     .noise = ctx.training ? config_.monotonic_noise : 0.0f,
                     .site = site_at(noise_site_, position)};
    auto terms = std::make_shared<ops::PairTerms>();
    terms->bias = energy_bias_->value;
    how.terms = terms;
  }
  if (config_.window == Window::local_p) {
    const Tensor share = ops::sigmoid(
        ctx, (*centre_)(ctx, (*centre_in_)(ctx, query, {.activation = kernels::Activation::tanh})));
    const Tensor lengths = Tensor::empty({query.dim(0), 1});
    for (std::int64_t b = 0; b < queries->size(); ++b) {
      const auto at = static_cast<std::size_t>(b);
      std::fill_n(lengths.f32() + queries->start[at], queries->count[at],
                  static_cast<float>(memory.sequences->count[at]));
    }
    how.local = {ops::multiply(ctx, share, lengths).reshape({query.dim(0)}), config_.reach};
  }
  return how;
}

RecurrentDecoder::Looked RecurrentDecoder::whole(const Context& ctx, const Tensor& projection,
                                                 const DecoderState& first,
                                                 const std::shared_ptr<const Sequences>& target,
                                                 const SourceView& source) const {
  Looked looked;
  Tensor given = projection;
  for (std::size_t n = 0; n < cells_.size(); ++n) {
    if (n > 0)
      given = cells_[n].project(
          ctx,
          ops::dropout(ctx, looked.s, {config_.dropout, site_at(layer_site_, static_cast<std::int64_t>(n))}));
    looked.s = cells_[n].whole(ctx, given, first.layers[n], target).h_NC;
  }
  if (!score_) {
    std::vector<std::int32_t> sentence(static_cast<std::size_t>(looked.s.dim(0)));
    for (std::int64_t b = 0; b < target->size(); ++b)
      std::fill_n(sentence.begin() + target->start[static_cast<std::size_t>(b)],
                  target->count[static_cast<std::size_t>(b)], static_cast<std::int32_t>(b));
    looked.c = ops::embed(ctx, ops::ids_tensor(sentence), source.fixed, 1.0f, {}, {});
    return looked;
  }
  auto how = options(ctx, looked.s, target, source.memory, first);
  if (config_.window == Window::local_m) {
    how.visible = attention::Visibility::window(config_.reach, config_.reach);
    how.visible.to_end = false;
  }
  if (learns_from_weights()) how.weights = attention::WeightsWanted::with_gradient;
  const auto attended = attention::attend(ctx, *score_, {looked.s}, target, source.memory, how);
  looked.c = attended.context;
  looked.weights = attended.weights;
  return looked;
}

// The memory whose keys have moved with what was looked at before.
Memory RecurrentDecoder::moved(const Context& ctx, const Memory& memory, const DecoderState& state) const {
  if (!state.previous.defined()) return memory;
  Memory moved = memory;
  if (config_.score == "location")
    moved = static_cast<const attention::LocationScore&>(*score_).memory_after(ctx, memory, state.previous);
  if (coverage_) {
    const std::int64_t rows = state.coverage.elements();
    const Tensor c = state.coverage.reshape({rows, 1});
    Tensor keys = moved.keys.matrix;
    if (rows < keys.dim(0)) keys = ops::rows(ctx, keys, 0, rows);
    moved.keys = {ops::add_residual(ctx, ops::linear(ctx, c, coverage_->value, {}), keys)};
    moved.prepared = {};
    moved.stepwise_scores = {};
  }
  return moved;
}

RecurrentDecoder::Looked RecurrentDecoder::look(const Context& ctx, const Tensor& query, DecoderState& state,
                                                const SourceView& source, bool wants_weights) const {
  if (!score_) return {{}, source.fixed, {}, {}};
  const Memory memory = moved(ctx, source.memory, state);
  const auto queries = single_rows(query.dim(0));
  auto how = options(ctx, query, queries, memory, state);
  if (config_.window == Window::local_m) {
    auto terms =
        how.terms ? std::make_shared<ops::PairTerms>(*how.terms) : std::make_shared<ops::PairTerms>();
    terms->mask = near(*memory.sequences, state, config_.reach);
    how.terms = terms;
  }
  if (config_.normaliser == Normaliser::monotonic)
    how.previous = weights_before(*memory.sequences, config_.attention_heads, state);
  if (learns_from_weights())
    how.weights = attention::WeightsWanted::with_gradient;
  else if (wants_weights)
    how.weights = attention::WeightsWanted::yes;
  const auto attended = attention::attend(ctx, *score_, {query}, queries, memory, how);
  if (carries_weights()) {
    state.coverage =
        state.coverage.defined() ? ops::add(ctx, state.coverage, attended.weights) : attended.weights;
    state.previous = attended.weights;
  }
  return {{}, attended.context, {}, attended.weights};
}

RecurrentDecoder::Steps::Steps(const Context& ctx, const RecurrentDecoder& decoder, std::int64_t B,
                               RecurrentCell::Given given)
    : decoder_(decoder) {
  for (std::size_t n = 0; n < decoder.cells_.size(); ++n)
    cells_.emplace_back(ctx, decoder.cells_[n], B, n == 0 ? given : RecurrentCell::Given::input);
  if (decoder.second_) second_.emplace(ctx, *decoder.second_, B, RecurrentCell::Given::input);
  if (decoder.config_.input_feeding) {
    feeding_.emplace_back(ctx, decoder.W_s_->value, decoder.b_->value);
    feeding_.emplace_back(ctx, decoder.W_c_->value, Tensor());
  }
}

void RecurrentDecoder::Steps::step_cells(const Context& ctx, const Tensor& given, DecoderState& state,
                                         const Tensor& feedback) const {
  state.layers[0] = cells_[0].step(ctx, given, state.layers[0], feedback);
  const RecurrentConfig& config = decoder_.config_;
  for (std::size_t n = 1; n < cells_.size(); ++n) {
    const std::int64_t time = config.variational ? 0 : state.position;
    const auto site =
        site_at(decoder_.layer_site_, time * config.decoder_layers + static_cast<std::int64_t>(n));
    const Tensor below = ops::dropout(ctx, state.layers[n - 1].h, {config.dropout, site});
    state.layers[n] = cells_[n].step(ctx, below, state.layers[n]);
  }
}

RecurrentDecoder::Looked RecurrentDecoder::Steps::bahdanau(const Context& ctx, const Tensor& given,
                                                           DecoderState& state, const SourceView& source,
                                                           bool wants_weights) const {
  Looked looked = decoder_.look(ctx, state.layers.back().h, state, source, wants_weights);
  step_cells(ctx, given, state, looked.c);
  looked.s = state.layers.back().h;
  return looked;
}

RecurrentDecoder::Looked RecurrentDecoder::Steps::luong(const Context& ctx, const Tensor& given,
                                                        DecoderState& state, const SourceView& source,
                                                        bool wants_weights) const {
  step_cells(ctx, given, state, state.fed);
  Looked looked = decoder_.look(ctx, state.layers.back().h, state, source, wants_weights);
  if (second_) state.layers.back() = second_->step(ctx, looked.c, state.layers.back());
  looked.s = state.layers.back().h;
  if (feeding_.empty()) return looked;
  looked.readout =
      ops::activate(ctx, feeding_[1](ctx, looked.c, feeding_[0](ctx, looked.s)), kernels::Activation::tanh);
  state.fed = looked.readout;
  return looked;
}

RecurrentDecoder::Looked RecurrentDecoder::Steps::step(const Context& ctx, const Tensor& given,
                                                       DecoderState& state, const SourceView& source,
                                                       bool wants_weights) const {
  Looked looked = decoder_.config_.order == Order::bahdanau
                      ? bahdanau(ctx, given, state, source, wants_weights)
                      : luong(ctx, given, state, source, wants_weights);
  ++state.position;
  for (auto& position : state.positions) ++position;
  return looked;
}

}  // namespace fovea::models
