#include "fovea/models/recurrent.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "fovea/models/weights_on_disk.h"
#include "fovea/ops/dropout.h"
#include "fovea/ops/pairs_coverage.h"
#include "fovea/ops/rows.h"

namespace fovea::models {
namespace {

using attention::Memory;
using attention::Sequences;
using ops::Context;

Tensor rows_of(const Tensor& matrix, std::span<const std::int32_t> rows) {
  if (!matrix.defined()) return matrix;
  const std::int64_t D = matrix.dim(1);
  Tensor selected = Tensor::empty({static_cast<std::int64_t>(rows.size()), D});
  float* to = selected.f32();
  for (const auto row : rows) to = std::copy_n(matrix.f32() + row * D, D, to);
  return selected;
}

// Elements of the sequences that rows look at, row after row: what weights of one query a row are.
Tensor parts_of(const Tensor& packed, const Sequences& sequences, std::span<const std::int32_t> rows) {
  if (!packed.defined()) return packed;
  std::vector<std::int64_t> offset{0};
  for (const auto count : sequences.count) offset.push_back(offset.back() + count);
  std::vector<float> selected;
  for (const auto row : rows) {
    const auto at = static_cast<std::size_t>(row);
    selected.insert(selected.end(), packed.f32() + offset[at], packed.f32() + offset[at + 1]);
  }
  return Tensor::of({static_cast<std::int64_t>(selected.size())}, selected);
}

std::shared_ptr<const Sequences> selected(const Sequences& sequences, std::span<const std::int32_t> rows) {
  auto chosen = std::make_shared<Sequences>();
  for (const auto row : rows) {
    chosen->start.push_back(sequences.start[static_cast<std::size_t>(row)]);
    chosen->count.push_back(sequences.count[static_cast<std::size_t>(row)]);
  }
  return chosen;
}

// A copy of each row's sequence, one after another.
Memory unshared(const Memory& memory) {
  std::vector<std::int32_t> rows;
  auto sequences = std::make_shared<Sequences>();
  for (std::size_t r = 0; r < memory.sequences->start.size(); ++r) {
    const std::int64_t start = memory.sequences->start[r], count = memory.sequences->count[r];
    sequences->start.push_back(static_cast<std::int64_t>(rows.size()));
    sequences->count.push_back(count);
    for (std::int64_t j = 0; j < count; ++j) rows.push_back(static_cast<std::int32_t>(start + j));
  }
  Memory own = memory;
  own.keys.matrix = rows_of(memory.keys.matrix, rows);
  own.values.matrix = rows_of(memory.values.matrix, rows);
  own.prepared = {};
  own.sequences = std::move(sequences);
  return own;
}

// The first R sentences of a batch that lies sentence after sentence.
SourceView first_of(const Context& ctx, const SourceView& source, std::int64_t R) {
  SourceView first = source;
  if (source.fixed.defined()) first.fixed = ops::rows(ctx, source.fixed, 0, R);
  if (!source.memory.sequences || source.memory.sequences->size() == R) return first;
  first.memory.sequences = source.memory.sequences->first(R);
  return first;
}

DecoderState first_of(const Context& ctx, const DecoderState& state, const SourceView& source,
                      std::int64_t R) {
  DecoderState first = state;
  const auto cut = [&](Tensor& tensor, std::int64_t rows) {
    if (tensor.defined() && tensor.dim(0) != rows) tensor = ops::rows(ctx, tensor, 0, rows);
  };
  for (auto& layer : first.layers) {
    cut(layer.h, R);
    cut(layer.c, R);
  }
  cut(first.fed, R);
  if (source.memory.sequences) {
    const auto& sequences = *source.memory.sequences;
    const std::int64_t keys =
        std::accumulate(sequences.count.begin(), sequences.count.end(), std::int64_t{0});
    cut(first.previous, keys);
    cut(first.coverage, keys);
  }
  return first;
}

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

// Adds weight * loss of looking again at each row: [R] losses, of which backward sends the gradient.
void add_coverage_loss(const Context& ctx, const Tensor& weights, const Tensor& coverage,
                       const ops::PairsPtr& pairs, float weight) {
  const Tensor losses = ops::coverage_loss(ctx, weights, coverage, pairs);
  if (ctx.records({&losses}))
    ctx.tape->record([losses, weight] {
      Tensor d = Tensor::full(losses.shape(), weight);
      ops::give_gradient(losses, std::move(d));
    });
}

}  // namespace

TimeMajor::TimeMajor(std::span<const std::int32_t> target_start)
    : order_(target_start.size() - 1), start_(target_start.begin(), target_start.end()) {
  std::iota(order_.begin(), order_.end(), std::size_t{0});
  const auto length = [&](std::size_t b) { return start_[b + 1] - start_[b]; };
  std::ranges::stable_sort(order_, [&](std::size_t a, std::size_t b) { return length(a) > length(b); });
  for (std::int64_t t = 0; !order_.empty() && t < length(order_.front()); ++t)
    rows_.push_back(std::ranges::count_if(order_, [&](std::size_t b) { return length(b) > t; }));
}

std::vector<std::int32_t> TimeMajor::arrange(std::span<const std::int32_t> tokens) const {
  std::vector<std::int32_t> arranged;
  arranged.reserve(tokens.size());
  for (std::int64_t t = 0; t < steps(); ++t)
    for (std::int64_t r = 0; r < rows(t); ++r)
      arranged.push_back(tokens[static_cast<std::size_t>(start_[order_[static_cast<std::size_t>(r)]] + t)]);
  return arranged;
}

void RecurrentState::reorder(std::span<const std::int32_t> parents) {
  for (auto& layer : decoder.layers) {
    layer.h = rows_of(layer.h, parents);
    layer.c = rows_of(layer.c, parents);
  }
  decoder.fed = rows_of(decoder.fed, parents);
  source.fixed = rows_of(source.fixed, parents);
  if (!source.memory.sequences) return;
  decoder.previous = parts_of(decoder.previous, *source.memory.sequences, parents);
  decoder.coverage = parts_of(decoder.coverage, *source.memory.sequences, parents);
  source.memory.sequences = selected(*source.memory.sequences, parents);
  if (moves_keys) source.memory = unshared(source.memory);
}

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
  return ops::embed(ctx, ops::ids_tensor(ids), table->value, std::sqrt(static_cast<float>(config_.embedding)),
                    {}, {}, {config_.dropout, site});
}

RecurrentModel::Encoded RecurrentModel::encode(const Context& ctx, std::span<const std::int32_t> tokens,
                                               const std::shared_ptr<const Sequences>& sentences) const {
  const auto read = (*encoder_)(ctx, embed(ctx, tokens, source_embedding_, source_site_), sentences);
  const Tensor h = ops::dropout(ctx, read.h_NC, {config_.dropout, memory_site_});
  Encoded encoded;
  encoded.summary =
      config_.start == RecurrentConfig::Start::mean ? means(ctx, h, sentences) : read.last.back().h;
  if (config_.attends())
    encoded.source.memory = decoder_->remember(ctx, h, sentences);
  else
    encoded.source.fixed = read.last.back().h;
  return encoded;
}

RecurrentModel::Unrolled RecurrentModel::unroll(const Context& ctx, const Tensor& embedded,
                                                const TimeMajor& time, const Encoded& encoded,
                                                bool wants_weights, float coverage_weight) const {
  const RecurrentDecoder::Steps steps(ctx, *decoder_, time.sentences());
  const Tensor projection = decoder_->project(ctx, embedded);
  DecoderState state = decoder_->begin(ctx, encoded.summary);
  SourceView source = encoded.source;
  std::vector<Tensor> s, c, fed;
  Unrolled unrolled;
  for (std::int64_t t = 0, row = 0; t < time.steps(); row += time.rows(t++)) {
    const std::int64_t R = time.rows(t);
    if (t > 0 && R < time.rows(t - 1)) {
      source = first_of(ctx, source, R);
      state = first_of(ctx, state, source, R);
    }
    const Tensor covered = state.coverage;
    const auto looked =
        steps.step(ctx, ops::rows(ctx, projection, row, row + R), state, source, wants_weights);
    s.push_back(looked.s);
    c.push_back(looked.c);
    if (looked.readout.defined()) fed.push_back(looked.readout);
    if (wants_weights) unrolled.weights.push_back(looked.weights);
    if (coverage_weight > 0.0f && covered.defined()) {
      auto queries = std::make_shared<Sequences>();
      for (std::int64_t r = 0; r < R; ++r) queries->start.push_back(r);
      queries->count.assign(static_cast<std::size_t>(R), 1);
      add_coverage_loss(ctx, looked.weights, covered,
                        ops::Pairs::of(queries, source.memory.sequences, config_.attention_heads),
                        coverage_weight);
    }
  }
  unrolled.readout = fed.empty() ? decoder_->readout(ctx, ops::stack(ctx, s), ops::stack(ctx, c), embedded)
                                 : ops::stack(ctx, fed);
  return unrolled;
}

ops::LossSums RecurrentModel::loss(const Context& ctx, const TranslationBatch& batch, float label_smoothing,
                                   float weight) const {
  const auto losses = [&](const Tensor& readout, std::span<const std::int32_t> targets) {
    return ops::linear_cross_entropy(ctx, ops::dropout(ctx, readout, {config_.dropout, readout_site_}),
                                     output_->value, output_shift_->value, ops::ids_tensor(targets),
                                     label_smoothing, weight);
  };
  if (!config_.feeds_back()) {
    const auto target = Sequences::packed(batch.target_start);
    const Encoded encoded = encode(ctx, batch.source, Sequences::packed(batch.source_start));
    const Tensor embedded = embed(ctx, batch.target_in, target_embedding_, target_site_);
    const auto looked = decoder_->whole(ctx, decoder_->project(ctx, embedded),
                                        decoder_->begin(ctx, encoded.summary), target, encoded.source);
    if (config_.coverage_loss > 0.0f) {
      const auto pairs = ops::Pairs::of(target, encoded.source.memory.sequences, config_.attention_heads);
      add_coverage_loss(ctx, looked.weights, ops::coverage(ctx, looked.weights, pairs), pairs,
                        config_.coverage_loss * weight);
    }
    return losses(decoder_->readout(ctx, looked.s, looked.c, embedded), batch.target_out);
  }
  const TimeMajor time(batch.target_start);
  std::vector<std::int32_t> source, source_start{0};
  for (const auto b : time.order()) {
    source.insert(source.end(), batch.source.begin() + batch.source_start[b],
                  batch.source.begin() + batch.source_start[b + 1]);
    source_start.push_back(static_cast<std::int32_t>(source.size()));
  }
  const Encoded encoded = encode(ctx, source, Sequences::packed(source_start));
  const Tensor embedded = embed(ctx, time.arrange(batch.target_in), target_embedding_, target_site_);
  const auto unrolled = unroll(ctx, embedded, time, encoded, false, config_.coverage_loss * weight);
  return losses(unrolled.readout, time.arrange(batch.target_out));
}

std::unique_ptr<TranslationState> RecurrentModel::start(
    const Context& ctx, std::span<const std::vector<std::int32_t>> sources) const {
  std::vector<std::int32_t> packed, start{0};
  for (const auto& source : sources) {
    packed.insert(packed.end(), source.begin(), source.end());
    start.push_back(static_cast<std::int32_t>(packed.size()));
  }
  const Encoded encoded = encode(ctx, packed, Sequences::packed(start));
  auto state = std::make_unique<RecurrentState>();
  state->decoder = decoder_->begin(ctx, encoded.summary);
  state->decoder.decides = true;
  state->source = encoded.source;
  state->steps =
      std::make_shared<RecurrentDecoder::Steps>(ctx, *decoder_, static_cast<std::int64_t>(sources.size()));
  state->moves_keys = config_.attends() && decoder_->moves_keys();
  return state;
}

Tensor RecurrentModel::step(const Context& ctx, TranslationState& begun,
                            std::span<const std::int32_t> tokens) const {
  auto& state = static_cast<RecurrentState&>(begun);
  if (std::ssize(tokens) != state.rows())
    throw Error(Error::Kind::bug, "recurrent model: step",
                std::to_string(tokens.size()) + " tokens for " + std::to_string(state.rows()) + " rows");
  if (state.decoder.position >= config_.max_positions)
    throw Error(Error::Kind::bug, "recurrent model: step",
                "past position " + std::to_string(config_.max_positions));
  const Tensor embedded = embed(ctx, tokens, target_embedding_, target_site_);
  const auto looked = state.steps->step(ctx, decoder_->project(ctx, embedded), state.decoder, state.source);
  const Tensor readout =
      looked.readout.defined() ? looked.readout : decoder_->readout(ctx, looked.s, looked.c, embedded);
  return ops::linear(ctx, readout, output_->value, output_shift_->value);
}

void RecurrentModel::read(const Context& ctx, std::span<const std::int32_t> source,
                          std::span<const std::int32_t> target) const {
  const auto S = static_cast<std::int32_t>(source.size());
  const auto T = static_cast<std::int32_t>(target.size()) + 1;
  std::vector<std::int32_t> target_in{config_.pad};
  target_in.insert(target_in.end(), target.begin(), target.end());
  const Tensor embedded = embed(ctx, target_in, target_embedding_, target_site_);
  const std::vector<std::int32_t> target_start{0, T};
  const Encoded encoded = encode(ctx, source, Sequences::packed(std::vector<std::int32_t>{0, S}));
  if (!config_.feeds_back()) {
    decoder_->whole(ctx, decoder_->project(ctx, embedded), decoder_->begin(ctx, encoded.summary),
                    Sequences::packed(target_start), encoded.source);
    return;
  }
  // Each step's weights are recorded together when all are there.
  constexpr auto place = "decoder.0.cross";
  const bool watched = config_.attends() && ctx.recorder && ctx.recorder->wants(place);
  Context unwatched = ctx;
  unwatched.recorder = nullptr;
  const auto unrolled = unroll(unwatched, embedded, TimeMajor(target_start), encoded, watched, 0.0f);
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
  for (const auto& view : parameters_.views()) file.add(view.name, view.value, dtype);
  return file;
}

void RecurrentModel::read_weights(const formats::Weights& file) {
  parameters_.release_packed();
  read_parameters(file, parameters_);
}

}  // namespace fovea::models
