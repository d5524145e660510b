#include "fovea/models/transformer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "fovea/attention/positions.h"
#include "fovea/kernels/gated.h"
#include "fovea/kernels/gemm.h"
#include "fovea/kernels/norm.h"
#include "fovea/models/config_checks.h"
#include "fovea/models/transformer_names.h"
#include "fovea/ops/dropout.h"
#include "fovea/ops/elementwise.h"
#include "fovea/ops/gated.h"

namespace fovea::models {
namespace {

// Position of each token in its sentence, `offset` rows on.
std::vector<std::int32_t> positions_of(const Sequences& sentences, std::size_t tokens, std::int64_t offset) {
  std::vector<std::int32_t> position(tokens);
  for (std::size_t b = 0; b < sentences.start.size(); ++b)
    for (std::int64_t t = 0; t < sentences.count[b]; ++t)
      position[static_cast<std::size_t>(sentences.start[b] + t)] = static_cast<std::int32_t>(t + offset);
  return position;
}

nn::Initial embedding_initial(const TransformerConfig& config) {
  return nn::Initial::normal(1.0f / std::sqrt(static_cast<float>(config.width)));
}

nn::LinearForm linear_form(const TransformerConfig& config) {
  return {.bias = config.biases ? nn::Bias::with : nn::Bias::without};
}

std::vector<nn::NamedRows> inner_parts(const std::string& name, const TransformerConfig& config) {
  const FeedForwardNames names = feed_forward_names(config);
  std::vector<nn::NamedRows> parts{{name + std::string(names.in), config.feed_forward}};
  if (config.gated) parts.insert(parts.begin(), {name + std::string(names.gate), config.feed_forward});
  return parts;
}

// What scores of self-attention are added to by distance; none without relative positions.
std::shared_ptr<const ops::PairTerms> distance_terms(const ops::Context& ctx,
                                                     const std::optional<attention::T5Bias>& bias,
                                                     const Sequences& sentences) {
  if (!bias || sentences.count.empty()) return {};
  const std::int64_t longest = std::ranges::max(sentences.count);
  const auto found = (*bias)(ctx, attention::Distances::between(longest, longest));
  auto terms = std::make_shared<ops::PairTerms>();
  terms->relative = found.values;
  terms->relative_zero = found.distances.zero();
  return terms;
}

Tensor one_number(float value) {
  Tensor one = Tensor::empty({1, 1});
  one.f32()[0] = value;
  return one;
}

}  // namespace

void validate(const TransformerConfig& config, Error::Kind kind, std::string_view where) {
  const ConfigChecks expect{kind, where};
  expect.within(config.source_vocabulary, 4, 4'000'000, "source vocabulary");
  expect.within(config.target_vocabulary, 4, 4'000'000, "target vocabulary");
  expect.within(config.encoder_layers, 1, 1000, "number of encoder layers");
  expect.within(config.decoder_layers, 1, 1000, "number of decoder layers");
  expect.within(config.width, 1, 65536, "width");
  expect.within(config.feed_forward, 1, 1 << 20, "feed-forward width");
  expect.within(config.heads, 1, 1024, "number of heads");
  expect.within(config.key_width, 0, 4096, "key width");
  expect.within(config.value_width, 0, 4096, "value width");
  expect.within(config.max_positions, 1, 1 << 20, "number of positions");
  expect.require((config.key_width && config.value_width) || config.width % config.heads == 0,
                 "width " + std::to_string(config.width) + " is not a multiple of " +
                     std::to_string(config.heads) + " heads");
  expect.require(!config.tie_source_target || config.source_vocabulary == config.target_vocabulary,
                 "tied source and target embeddings need one vocabulary");
  expect.within(config.position_offset, 0, 1024, "offset of positions");
  expect.within(config.distance_buckets, 4, 1 << 16, "number of distance buckets");
  expect.require(config.norm_eps > 0.0f, "norms need an epsilon above 0");
  expect.shares({config.dropout, config.attention_dropout, config.activation_dropout});
  expect.tokens({config.eos, config.unk, config.pad, config.first()},
                std::min(config.source_vocabulary, config.target_vocabulary));
}

void clear_dropout(TransformerConfig& config) {
  config.dropout = config.attention_dropout = config.activation_dropout = 0.0f;
}

TranslationVocabulary vocabulary_of(const TransformerConfig& config) {
  return {.source = config.source_vocabulary,
          .target = config.target_vocabulary,
          .eos = config.eos,
          .unk = config.unk,
          .pad = config.pad,
          .start = config.first(),
          .generates_pad = config.family != TransformerConfig::Family::marian};
}

float output_scale(const TransformerConfig& config) {
  return config.scale_output ? 1.0f / std::sqrt(static_cast<float>(config.width)) : 1.0f;
}

TransformerNorm::TransformerNorm(nn::Builder& builder, const std::string& name,
                                 const TransformerConfig& config)
    : gamma_(builder.parameters().add(name + ".weight", {config.width}, nn::Initial::ones())),
      beta_(config.norm_kind == TransformerConfig::NormKind::layer
                ? builder.parameters().add(name + ".bias", {config.width}, nn::Initial::zeros())
                : nullptr),
      eps_(config.norm_eps) {}

Tensor TransformerNorm::add(const ops::Context& ctx, const Tensor& x_ND, const Tensor& residual_ND,
                            ops::Dropping dropping) const {
  if (!beta_) return ops::add_rms_norm(ctx, x_ND, residual_ND, gamma_->value, eps_, dropping);
  return ops::add_norm(ctx, x_ND, residual_ND, gamma_->value, beta_->value, eps_, dropping);
}

void TransformerNorm::rows(const kernels::Execution& exec, std::int64_t N, const float* x,
                           const float* residual, float* y) const {
  const auto kind = beta_ ? kernels::NormKind::layer : kernels::NormKind::rms;
  kernels::norm_forward(exec, {N, width(), eps_, {}, kind}, x, residual, gamma_->value.f32(),
                        beta_ ? beta_->value.f32() : nullptr, nullptr, y, nullptr, nullptr);
}

Residual::Residual(nn::Builder& builder, const std::string& norm_name, const TransformerConfig& config)
    : pre_norm_(config.norm == TransformerConfig::Norm::pre),
      dropping_{config.dropout, builder.next_site()},
      norm_(builder, norm_name, config) {}

FeedForward::FeedForward(nn::Builder& builder, const std::string& name, const TransformerConfig& config)
    : gated_(config.gated),
      width_(config.feed_forward),
      in_(builder, inner_parts(name, config), config.width, linear_form(config)),
      out_(builder, name + std::string(feed_forward_names(config).out), config.feed_forward, config.width,
           linear_form(config)),
      inner_{config.activation, config.activation_dropout, builder.next_site()} {}

Tensor FeedForward::operator()(const ops::Context& ctx, const Tensor& x_ND) const {
  if (!gated_) return out_(ctx, in_(ctx, x_ND, inner_));
  const Tensor inner_NF = ops::gated(ctx, in_(ctx, x_ND), inner_.activation);
  return out_(ctx, ops::dropout(ctx, inner_NF, {inner_.dropout, inner_.site}));
}

void FeedForward::step(const kernels::Execution& exec, std::int64_t N, const float* x, float* inner,
                       float* out) const {
  if (!gated_) {
    in_.rows(exec, N, x, inner, inner_.activation);
    return out_.rows(exec, N, inner, out);
  }
  in_.rows(exec, N, x, inner);
  float* opened = inner + 2 * N * width_;
  kernels::gated_forward(exec, {N, width_, inner_.activation}, inner, opened);
  out_.rows(exec, N, opened, out);
}

EncoderLayer::EncoderLayer(nn::Builder& builder, const TransformerConfig& config, std::int64_t n)
    : EncoderLayer(builder, config, layer_names(config, Stack::encoder, n), "encoder." + std::to_string(n)) {}

EncoderLayer::EncoderLayer(nn::Builder& builder, const TransformerConfig& config, const LayerNames& names,
                           std::string place)
    : place_(std::move(place)),
      self_attention_(builder, names.self_attention, config.head_shape(), config.attention_dropout,
                      head_form(config)),
      self_residual_(builder, names.self_norm, config),
      feed_forward_(builder, names.feed_forward, config),
      feed_forward_residual_(builder, names.feed_forward_norm, config) {}

Tensor EncoderLayer::forward(const ops::Context& ctx, const Tensor& x_ND,
                             const std::shared_ptr<const Sequences>& source,
                             const std::shared_ptr<const ops::PairTerms>& distances) const {
  const Tensor y_ND = self_residual_(ctx, x_ND, [&](const Tensor& x) {
    return self_attention_(ctx, x, source, /*causal=*/false, place_, distances);
  });
  return feed_forward_residual_(ctx, y_ND, [&](const Tensor& y) { return feed_forward_(ctx, y); });
}

DecoderLayer::DecoderLayer(nn::Builder& builder, const TransformerConfig& config, std::int64_t n)
    : DecoderLayer(builder, config, layer_names(config, Stack::decoder, n), "decoder." + std::to_string(n)) {}

DecoderLayer::DecoderLayer(nn::Builder& builder, const TransformerConfig& config, const LayerNames& names,
                           const std::string& place)
    : self_place_(place + ".self"),
      cross_place_(place + ".cross"),
      self_attention_(builder, names.self_attention, config.head_shape(), config.attention_dropout,
                      head_form(config)),
      self_residual_(builder, names.self_norm, config),
      cross_attention_(builder, names.cross_attention, config.head_shape(), config.attention_dropout,
                       head_form(config)),
      cross_residual_(builder, names.cross_norm, config),
      feed_forward_(builder, names.feed_forward, config),
      feed_forward_residual_(builder, names.feed_forward_norm, config) {}

Tensor DecoderLayer::forward(const ops::Context& ctx, const Tensor& x_ND, const Tensor& keys_values,
                             const std::shared_ptr<const Sequences>& target,
                             const std::shared_ptr<const Sequences>& source,
                             const std::shared_ptr<const ops::PairTerms>& distances) const {
  Tensor y_ND = self_residual_(ctx, x_ND, [&](const Tensor& x) {
    return self_attention_(ctx, x, target, /*causal=*/true, self_place_, distances);
  });
  y_ND = cross_residual_(ctx, y_ND, [&](const Tensor& x) {
    return cross_attention_(ctx, x, keys_values, target, source, cross_place_);
  });
  return feed_forward_residual_(ctx, y_ND, [&](const Tensor& x) { return feed_forward_(ctx, x); });
}

void DecoderLayer::step(const ops::Context& ctx, float* x, const attention::HypothesisCache& cache,
                        const attention::SelfAttention::Past& past,
                        std::span<const kernels::BeamQueries> sentences, const StepRoom& room) const {
  const std::int64_t N = past.rows;
  self_residual_.step(ctx.exec, N, x, room, [&](const float* in, float* out) {
    self_attention_.step(ctx, in, cache, past, room.wide, room.context, out, self_place_);
  });
  cross_residual_.step(ctx.exec, N, x, room, [&](const float* in, float* out) {
    cross_attention_.step(ctx, N, in, sentences, room.wide, room.context, out, cross_place_);
  });
  feed_forward_residual_.step(ctx.exec, N, x, room, [&](const float* in, float* out) {
    feed_forward_.step(ctx.exec, N, in, room.wide, out);
  });
}

Transformer::Transformer(const TransformerConfig& config, std::uint64_t seed)
    : Transformer(config, Declared{}) {
  parameters_.allocate(seed);
}

Transformer::Transformer(const TransformerConfig& config, Declared) : config_(config) {
  validate(config, Error::Kind::bug, "transformer");
  nn::Builder builder(parameters_);
  add_embeddings(builder);
  add_positions(builder);
  encoder_ends_.dropping = {config.dropout, builder.next_site()};
  decoder_ends_.dropping = {config.dropout, builder.next_site()};
  for (std::int64_t n = 0; n < config.encoder_layers; ++n) encoder_.emplace_back(builder, config, n);
  for (std::int64_t n = 0; n < config.decoder_layers; ++n) decoder_.emplace_back(builder, config, n);
  for (const Stack stack : {Stack::encoder, Stack::decoder}) {
    Ends& ends = stack == Stack::encoder ? encoder_ends_ : decoder_ends_;
    const StackNames names = stack_names(config, stack);
    if (config.embedding_norm) ends.embedding_norm.emplace(builder, names.embedding_norm, config);
    if (config.norm == TransformerConfig::Norm::pre) ends.norm.emplace(builder, names.norm, config);
  }
}

void Transformer::add_embeddings(nn::Builder& builder) {
  const auto initial = embedding_initial(config_);
  const auto add = [&](std::string name, std::int64_t rows) {
    return builder.parameters().add(std::move(name), {rows, config_.width}, initial);
  };
  if (config_.tie_source_target) {
    encoder_ends_.embedding = decoder_ends_.embedding =
        add(shared_embedding_name(config_), config_.source_vocabulary);
  } else {
    encoder_ends_.embedding = add(stack_names(config_, Stack::encoder).embedding, config_.source_vocabulary);
    decoder_ends_.embedding = add(stack_names(config_, Stack::decoder).embedding, config_.target_vocabulary);
  }
  output_ = config_.tie_output ? decoder_ends_.embedding
                               : add(std::string(output_name()), config_.target_vocabulary);
  output_->multiplies = true;
  encoder_ends_.embedding->looked_up = decoder_ends_.embedding->looked_up = true;
}

void Transformer::add_positions(nn::Builder& builder) {
  using Positions = TransformerConfig::Positions;
  if (config_.positions == Positions::sinusoidal)
    sinusoidal_ = attention::sinusoidal_positions(config_.max_positions, config_.width);
  if (config_.positions == Positions::fairseq)
    sinusoidal_ = attention::fairseq_positions(config_.max_positions, config_.width, 2);
  for (const Stack stack : {Stack::encoder, Stack::decoder}) {
    Ends& ends = stack == Stack::encoder ? encoder_ends_ : decoder_ends_;
    const StackNames names = stack_names(config_, stack);
    if (config_.positions == Positions::learned)
      ends.positions = builder.parameters().add(
          names.positions, {config_.max_positions + config_.position_offset, config_.width},
          embedding_initial(config_));
    if (config_.positions == Positions::relative)
      ends.distances.emplace(builder, names.distances, config_.heads,
                             attention::T5Buckets{.buckets = config_.distance_buckets,
                                                  .max_distance = config_.max_distance,
                                                  .bidirectional = stack == Stack::encoder});
  }
}

Tensor Transformer::embed(const ops::Context& ctx, std::span<const std::int32_t> ids,
                          const Sequences& sentences, const Ends& ends) const {
  const auto position = positions_of(sentences, ids.size(), config_.position_offset);
  const Tensor x_ND = nn::embed(ctx, ids, *ends.embedding, embedding_scale(), position, positions(ends),
                                ends.embedding_norm ? ops::Dropping{} : ends.dropping);
  return ends.embedding_norm ? ops::dropout(ctx, (*ends.embedding_norm)(ctx, x_ND), ends.dropping) : x_ND;
}

float Transformer::embedding_scale() const {
  return config_.scale_embedding ? std::sqrt(static_cast<float>(config_.width)) : 1.0f;
}

Tensor Transformer::encode(const ops::Context& ctx, std::span<const std::int32_t> source,
                           const std::shared_ptr<const Sequences>& sentences) const {
  const auto distances = distance_terms(ctx, encoder_ends_.distances, *sentences);
  Tensor x_ND = embed(ctx, source, *sentences, encoder_ends_);
  for (const auto& layer : encoder_) x_ND = layer.forward(ctx, x_ND, sentences, distances);
  return encoder_ends_.norm ? (*encoder_ends_.norm)(ctx, x_ND) : x_ND;
}

Tensor Transformer::decode(const ops::Context& ctx, std::span<const std::int32_t> target_in,
                           const std::shared_ptr<const Sequences>& target, const Tensor& memory_MD,
                           const std::shared_ptr<const Sequences>& source) const {
  const auto distances = distance_terms(ctx, decoder_ends_.distances, *target);
  Tensor x_ND = embed(ctx, target_in, *target, decoder_ends_);
  for (const auto& layer : decoder_)
    x_ND = layer.forward(ctx, x_ND, layer.keys_values(ctx, memory_MD), target, source, distances);
  if (decoder_ends_.norm) x_ND = (*decoder_ends_.norm)(ctx, x_ND);
  return config_.scale_output ? ops::multiply(ctx, x_ND, one_number(output_scale(config_))) : x_ND;
}

ops::LossSums Transformer::loss(const ops::Context& ctx, const TranslationBatch& batch, float label_smoothing,
                                float weight) const {
  if (batch.own_token_share > 0.0f)
    throw Error(Error::Kind::usage, "transformer", "it reads all target tokens at once and samples none",
                "train without scheduled sampling");
  const auto source = Sequences::packed(batch.source_start);
  const auto target = Sequences::packed(batch.target_start);
  const Tensor memory_MD = encode(ctx, batch.source, source);
  const Tensor states_ND = decode(ctx, batch.target_in, target, memory_MD, source);
  return ops::linear_cross_entropy(ctx, states_ND, output_->value, output_bias(),
                                   ops::ids_tensor(batch.target_out), label_smoothing, weight);
}

Tensor Transformer::logits(const ops::Context& ctx, const Tensor& states_ND) const {
  return nn::linear(ctx, states_ND, *output_, output_bias());
}

Tensor Transformer::predict(const ops::Context& ctx, const TranslationBatch& batch) const {
  const auto source = Sequences::packed(batch.source_start);
  const Tensor memory_MD = encode(ctx, batch.source, source);
  return logits(ctx, decode(ctx, batch.target_in, Sequences::packed(batch.target_start), memory_MD, source));
}

void Transformer::read(const ops::Context& ctx, std::span<const std::int32_t> source,
                       std::span<const std::int32_t> target) const {
  std::vector<std::int32_t> target_in{config_.first()};
  target_in.insert(target_in.end(), target.begin(), target.end());
  const auto rows = [](std::size_t tokens) {
    return Sequences::packed(std::vector<std::int32_t>{0, static_cast<std::int32_t>(tokens)});
  };
  const auto source_rows = rows(source.size());
  decode(ctx, target_in, rows(target_in.size()), encode(ctx, source, source_rows), source_rows);
}

}  // namespace fovea::models
