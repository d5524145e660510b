#include "fovea/models/recurrent.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

#include "fovea/models/row_selection.h"
#include "fovea/models/weights_on_disk.h"
#include "fovea/ops/dropout.h"

namespace fovea::models {
namespace {

using attention::Sequences;
using ops::Context;

// The mean over the rows of each sentence: [B, M].
Tensor means(const Context& ctx, const Tensor& h, const std::shared_ptr<const Sequences>& sentences) {
  auto queries = std::make_shared<Sequences>();
  queries->count.assign(static_cast<std::size_t>(sentences->size()), 1);
  for (std::int64_t b = 0; b < sentences->size(); ++b) queries->start.push_back(b);
  const auto pairs = ops::Pairs::of(queries, sentences, 1);
  Tensor weights = Tensor::empty({pairs->elements()});
  float* at = weights.f32();
  for (const auto count : sentences->count) at = std::fill_n(at, count, 1.0f / static_cast<float>(count));
  return ops::mix(ctx, weights, {h}, pairs, {.kv_heads = 1, .value_width = h.dim(1)});
}

}  // namespace

RecurrentModel::RecurrentModel(const RecurrentConfig& config, Declared) : config_(config) {
  nn::Builder builder(parameters_);
  const auto embedding = nn::Initial::normal(1.0f / std::sqrt(static_cast<float>(config.embedding)));
  const auto table = [&](const char* name, std::int64_t vocabulary) {
    return parameters_.add(name, {vocabulary, config.embedding}, embedding);
  };
  if (config.tie_source_target) {
    source_embedding_ = target_embedding_ = table("shared.weight", config.source_vocabulary);
  } else {
    source_embedding_ = table("encoder.embedding.weight", config.source_vocabulary);
    target_embedding_ = table("decoder.embedding.weight", config.target_vocabulary);
  }
  output_ = config.tie_output ? target_embedding_ : table("output.weight", config.target_vocabulary);
  output_->multiplies = true;
  source_embedding_->looked_up = target_embedding_->looked_up = true;
  output_shift_ = parameters_.add("output.bias", {config.target_vocabulary}, nn::Initial::zeros());
  encoder_.emplace(builder, "encoder",
                   nn::RecurrentOptions{.cell = config.cell,
                                        .input = config.embedding,
                                        .hidden = config.width,
                                        .layers = config.encoder_layers,
                                        .bidirectional = config.bidirectional,
                                        .dropout = config.dropout,
                                        .variational = config.variational,
                                        .state_dropout = config.variational ? config.dropout : 0.0f,
                                        .forget_bias = 1.0f});
  decoder_.emplace(builder, "decoder", config);
  source_site_ = builder.next_site();
  target_site_ = builder.next_site();
  memory_site_ = builder.next_site();
  readout_site_ = builder.next_site();
  if (config.copy)
    gate_.emplace(builder, "decoder.p_gen", config.width, config.memory_width(), config.embedding);
}

RecurrentModel::RecurrentModel(const RecurrentConfig& config, std::uint64_t seed)
    : RecurrentModel((validate(config, Error::Kind::bug, "recurrent model"), config), Declared{}) {
  parameters_.allocate(seed);
}

double RecurrentModel::count_parameters(const RecurrentConfig& config) {
  return static_cast<double>(RecurrentModel(config, Declared{}).parameters_.count());
}

double parameter_count(const RecurrentConfig& config) { return RecurrentModel::count_parameters(config); }

Tensor RecurrentModel::embed(const Context& ctx, std::span<const std::int32_t> ids,
                             const nn::Parameter* table, std::uint32_t site) const {
  return nn::embed(ctx, ids, *table, std::sqrt(static_cast<float>(config_.embedding)), {}, {},
                   {config_.dropout, site});
}

RecurrentModel::Encoded RecurrentModel::encode(const Context& ctx, std::span<const std::int32_t> tokens,
                                               const std::shared_ptr<const Sequences>& sentences,
                                               Looks looks) const {
  const auto read = (*encoder_)(ctx, embed(ctx, tokens, source_embedding_, source_site_), sentences);
  const Tensor h = ops::dropout(ctx, read.h_NC, {config_.dropout, memory_site_});
  Encoded encoded;
  encoded.summary =
      config_.start == RecurrentConfig::Start::mean ? means(ctx, h, sentences) : read.last.back().h;
  if (config_.attends())
    encoded.source.memory = decoder_->remember(ctx, h, sentences, looks);
  else
    encoded.source.fixed = read.last.back().h;
  if (gate_) encoded.copies = {ops::CopySource::of(tokens, *sentences, config_.target_vocabulary), sentences};
  return encoded;
}

RecurrentModel::Output RecurrentModel::output(const Context& ctx, const Looked& looked,
                                              const Tensor& embedded,
                                              const std::shared_ptr<const Sequences>& queries,
                                              const CopyView& copies) const {
  Output output;
  output.readout =
      looked.readout.defined() ? looked.readout : decoder_->readout(ctx, looked.s, looked.c, embedded);
  if (gate_)
    output.copying = {(*gate_)(ctx, looked.s, looked.c, embedded), looked.weights,
                      ops::Pairs::of(queries, copies.sources, config_.attention_heads), copies.tokens};
  return output;
}

Tensor RecurrentModel::mixed(const Context& ctx, const Tensor& logits, const Output& output) const {
  return gate_ ? ops::copy_log_probabilities(ctx, logits, output.copying) : logits;
}

std::unique_ptr<TranslationState> RecurrentModel::start(
    const Context& ctx, std::span<const std::vector<std::int32_t>> sources) const {
  std::vector<std::int32_t> packed, start{0};
  for (const auto& source : sources) {
    packed.insert(packed.end(), source.begin(), source.end());
    start.push_back(static_cast<std::int32_t>(packed.size()));
  }
  const Encoded encoded = encode(ctx, packed, Sequences::packed(start), Looks::stepwise);
  auto state = std::make_unique<RecurrentState>();
  state->decoder = decoder_->begin_decoding(ctx, encoded.summary, encoded.source.memory);
  state->source = encoded.source;
  state->copies = encoded.copies;
  if (gate_) state->copies.ids = packed;
  state->steps =
      std::make_shared<RecurrentDecoder::Steps>(ctx, *decoder_, static_cast<std::int64_t>(sources.size()));
  state->moves_keys = config_.attends() && decoder_->moves_keys();
  return state;
}

void RecurrentModel::admit(const Context& ctx, TranslationState& state,
                           std::span<const std::vector<std::int32_t>> sources) const {
  const auto fresh = start(ctx, sources);
  static_cast<RecurrentState&>(state).append(static_cast<const RecurrentState&>(*fresh));
}

Tensor RecurrentModel::step(const Context& ctx, TranslationState& begun,
                            std::span<const std::int32_t> tokens) const {
  auto& state = static_cast<RecurrentState&>(begun);
  if (std::ssize(tokens) != state.rows())
    throw Error(Error::Kind::bug, "recurrent model: step",
                std::to_string(tokens.size()) + " tokens for " + std::to_string(state.rows()) + " rows");
  if (std::ranges::any_of(state.decoder.positions, [&](auto t) { return t >= config_.max_positions; }))
    throw Error(Error::Kind::bug, "recurrent model: step",
                "past position " + std::to_string(config_.max_positions));
  const Tensor embedded = embed(ctx, tokens, target_embedding_, target_site_);
  const auto looked = state.steps->step(ctx, decoder_->project(ctx, embedded), state.decoder, state.source);
  const Output out = output(ctx, looked, embedded, gate_ ? single_rows(state.rows()) : nullptr, state.copies);
  if (state.output) return (*state.output)(ctx, out.readout);
  return mixed(ctx, nn::linear(ctx, out.readout, *output_, output_shift_->value), out);
}

std::shared_ptr<const nn::PartialLinear> RecurrentModel::output_for(
    const kernels::Execution& exec, std::span<const std::int32_t> tokens) const {
  if (gate_)
    throw Error(Error::Kind::usage, "shortlist", "this model copies words of its source, whatever they are",
                "translate without a shortlist");
  return std::make_shared<nn::PartialLinear>(exec, *output_, output_shift_->value, tokens);
}

// Step by step, as in decoding: what monotonic attention decides there is another thing than what it learns.
Tensor RecurrentModel::predict(const Context& ctx, const TranslationBatch& batch) const {
  const TimeMajor time(batch.target_start);
  std::vector<std::vector<std::int32_t>> sources;
  for (const auto b : time.order())
    sources.emplace_back(batch.source.begin() + batch.source_start[b],
                         batch.source.begin() + batch.source_start[b + 1]);
  const std::int64_t V = config_.target_vocabulary;
  Tensor predicted = Tensor::empty({std::ssize(batch.target_in), V});
  if (sources.empty()) return predicted;
  const auto state = start(ctx, sources);
  std::vector<std::int32_t> tokens, rows(sources.size());
  std::iota(rows.begin(), rows.end(), 0);
  for (std::int64_t t = 0; t < time.steps(); ++t) {
    const std::int64_t R = time.rows(t);
    if (R < state->rows()) state->reorder(std::span(rows).first(static_cast<std::size_t>(R)));
    tokens.clear();
    for (std::int64_t r = 0; r < R; ++r)
      tokens.push_back(batch.target_in[static_cast<std::size_t>(time.token(t, r))]);
    const Tensor logits = step(ctx, *state, tokens);
    for (std::int64_t r = 0; r < R; ++r)
      std::copy_n(logits.f32() + r * V, V, predicted.f32() + time.token(t, r) * V);
  }
  return predicted;
}

void RecurrentModel::read(const Context& ctx, std::span<const std::int32_t> source,
                          std::span<const std::int32_t> target) const {
  const auto S = static_cast<std::int32_t>(source.size());
  const auto T = static_cast<std::int32_t>(target.size()) + 1;
  std::vector<std::int32_t> target_in{config_.pad};
  target_in.insert(target_in.end(), target.begin(), target.end());
  const std::vector<std::int32_t> source_start{0, S}, target_start{0, T};
  const bool stepwise = config_.feeds_back();
  const Encoded encoded =
      encode(ctx, source, Sequences::packed(source_start), stepwise ? Looks::stepwise : Looks::whole);
  if (!stepwise) {
    const Tensor embedded = embed(ctx, target_in, target_embedding_, target_site_);
    decoder_->whole(ctx, decoder_->project(ctx, embedded), decoder_->begin(ctx, encoded.summary),
                    Sequences::packed(target_start), encoded.source);
    return;
  }
  // Each step's weights are recorded together when all are there.
  constexpr auto place = "decoder.0.cross";
  const bool watched = config_.attends() && ctx.recorder && ctx.recorder->wants(place);
  Context unwatched = ctx;
  unwatched.recorder = nullptr;
  const TimeMajor time(target_start);
  const auto unrolled = unroll(unwatched, {time, target_in, encoded, nullptr, watched});
  if (!watched) return;
  const std::int64_t H = config_.attention_heads;
  const Tensor weights = Tensor::empty({H, T, S});
  for (std::int64_t t = 0; t < T; ++t)
    for (std::int64_t h = 0; h < H; ++h)
      std::copy_n(unrolled.weights[static_cast<std::size_t>(t)].f32() + h * S, S,
                  weights.f32() + (h * T + t) * S);
  ctx.recorder->attention(place, weights);
}

formats::SafetensorsWriter RecurrentModel::weights_file(
    DType dtype, const std::map<std::string, std::string>& metadata) const {
  formats::SafetensorsWriter file(metadata);
  add_parameters(file, parameters_, dtype);
  return file;
}

void RecurrentModel::read_weights(const formats::Weights& file, const Packing* packing) {
  packed_non_finite_ = read_parameters(file, parameters_, packing);
}

}  // namespace fovea::models
