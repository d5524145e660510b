#include "fovea/models/transformer.h"

#include <cmath>

#include "fovea/attention/positions.h"
#include "fovea/kernels/gemm.h"
#include "fovea/models/config_checks.h"

namespace fovea::models {
namespace {

attention::HeadShape head_shape(const TransformerConfig& config) {
  return {config.width, config.heads, config.d_k(), config.d_v()};
}

// Position of each token in its sentence.
std::vector<std::int32_t> positions_of(const Sequences& sentences, std::size_t tokens) {
  std::vector<std::int32_t> position(tokens);
  for (std::size_t b = 0; b < sentences.start.size(); ++b)
    for (std::int64_t t = 0; t < sentences.count[b]; ++t)
      position[static_cast<std::size_t>(sentences.start[b] + t)] = static_cast<std::int32_t>(t);
  return position;
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
  expect.shares({config.dropout, config.attention_dropout, config.activation_dropout});
  expect.tokens({config.eos, config.unk, config.pad},
                std::min(config.source_vocabulary, config.target_vocabulary));
}

void clear_dropout(TransformerConfig& config) {
  config.dropout = config.attention_dropout = config.activation_dropout = 0.0f;
}

TranslationVocabulary vocabulary_of(const TransformerConfig& config) {
  return {config.source_vocabulary, config.target_vocabulary, config.eos, config.unk, config.pad};
}

Residual::Residual(nn::Builder& builder, const std::string& norm_name, const TransformerConfig& config)
    : pre_norm_(config.norm == TransformerConfig::Norm::pre),
      dropping_{config.dropout, builder.next_site()},
      norm_(builder, norm_name, config.width) {}

FeedForward::FeedForward(nn::Builder& builder, const std::string& name, const TransformerConfig& config)
    : in_(builder, name + ".fc1", config.width, config.feed_forward),
      out_(builder, name + ".fc2", config.feed_forward, config.width),
      inner_{config.activation, config.activation_dropout, builder.next_site()} {}

EncoderLayer::EncoderLayer(nn::Builder& builder, const std::string& name, const TransformerConfig& config,
                           std::string place)
    : place_(std::move(place)),
      self_attention_(builder, name + ".self_attn", head_shape(config), config.attention_dropout),
      self_residual_(builder, name + ".self_attn_layer_norm", config),
      feed_forward_(builder, name, config),
      feed_forward_residual_(builder, name + ".final_layer_norm", config) {}

Tensor EncoderLayer::forward(const ops::Context& ctx, const Tensor& x_ND,
                             const std::shared_ptr<const Sequences>& source) const {
  const Tensor y_ND = self_residual_(
      ctx, x_ND, [&](const Tensor& x) { return self_attention_(ctx, x, source, /*causal=*/false, place_); });
  return feed_forward_residual_(ctx, y_ND, [&](const Tensor& y) { return feed_forward_(ctx, y); });
}

DecoderLayer::DecoderLayer(nn::Builder& builder, const std::string& name, const TransformerConfig& config,
                           const std::string& place)
    : self_place_(place + ".self"),
      cross_place_(place + ".cross"),
      self_attention_(builder, name + ".self_attn", head_shape(config), config.attention_dropout),
      self_residual_(builder, name + ".self_attn_layer_norm", config),
      cross_attention_(builder, name + ".encoder_attn", head_shape(config), config.attention_dropout),
      cross_residual_(builder, name + ".encoder_attn_layer_norm", config),
      feed_forward_(builder, name, config),
      feed_forward_residual_(builder, name + ".final_layer_norm", config) {}

Tensor DecoderLayer::forward(const ops::Context& ctx, const Tensor& x_ND, const Tensor& keys_values,
                             const std::shared_ptr<const Sequences>& target,
                             const std::shared_ptr<const Sequences>& source) const {
  Tensor y_ND = self_residual_(ctx, x_ND, [&](const Tensor& x) {
    return self_attention_(ctx, x, target, /*causal=*/true, self_place_);
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
  const auto embedding = nn::Initial::normal(1.0f / std::sqrt(static_cast<float>(config.width)));
  if (config.tie_source_target) {
    source_embedding_ =
        parameters_.add("model.shared.weight", {config.source_vocabulary, config.width}, embedding);
    target_embedding_ = source_embedding_;
  } else {
    source_embedding_ = parameters_.add("model.encoder.embed_tokens.weight",
                                        {config.source_vocabulary, config.width}, embedding);
    target_embedding_ = parameters_.add("model.decoder.embed_tokens.weight",
                                        {config.target_vocabulary, config.width}, embedding);
  }
  output_ = config.tie_output
                ? target_embedding_
                : parameters_.add("lm_head.weight", {config.target_vocabulary, config.width}, embedding);
  if (config.positions == TransformerConfig::Positions::learned) {
    encoder_positions_ = parameters_.add("model.encoder.embed_positions.weight",
                                         {config.max_positions, config.width}, embedding);
    decoder_positions_ = parameters_.add("model.decoder.embed_positions.weight",
                                         {config.max_positions, config.width}, embedding);
  } else {
    sinusoidal_ = attention::sinusoidal_positions(config.max_positions, config.width);
  }
  encoder_dropping_ = {config.dropout, builder.next_site()};
  decoder_dropping_ = {config.dropout, builder.next_site()};
  for (std::int64_t n = 0; n < config.encoder_layers; ++n)
    encoder_.emplace_back(builder, "model.encoder.layers." + std::to_string(n), config,
                          "encoder." + std::to_string(n));
  for (std::int64_t n = 0; n < config.decoder_layers; ++n)
    decoder_.emplace_back(builder, "model.decoder.layers." + std::to_string(n), config,
                          "decoder." + std::to_string(n));
  if (config.norm == TransformerConfig::Norm::pre) {
    encoder_norm_.emplace(builder, "model.encoder.layer_norm", config.width);
    decoder_norm_.emplace(builder, "model.decoder.layer_norm", config.width);
  }
  output_->multiplies = true;
  source_embedding_->looked_up = target_embedding_->looked_up = true;
}

Tensor Transformer::embed(const ops::Context& ctx, std::span<const std::int32_t> ids,
                          std::span<const std::int32_t> position, const nn::Parameter* table,
                          const Tensor& positions, ops::Dropping dropping) const {
  return nn::embed(ctx, ids, *table, embedding_scale(), position, positions, dropping);
}

float Transformer::embedding_scale() const {
  return config_.scale_embedding ? std::sqrt(static_cast<float>(config_.width)) : 1.0f;
}

Tensor Transformer::encode(const ops::Context& ctx, std::span<const std::int32_t> source,
                           const std::shared_ptr<const Sequences>& sentences) const {
  Tensor x_ND = embed(ctx, source, positions_of(*sentences, source.size()), source_embedding_,
                      positions(encoder_positions_), encoder_dropping_);
  for (const auto& layer : encoder_) x_ND = layer.forward(ctx, x_ND, sentences);
  return encoder_norm_ ? (*encoder_norm_)(ctx, x_ND) : x_ND;
}

Tensor Transformer::decode(const ops::Context& ctx, std::span<const std::int32_t> target_in,
                           const std::shared_ptr<const Sequences>& target, const Tensor& memory_MD,
                           const std::shared_ptr<const Sequences>& source) const {
  Tensor x_ND = embed(ctx, target_in, positions_of(*target, target_in.size()), target_embedding_,
                      positions(decoder_positions_), decoder_dropping_);
  for (const auto& layer : decoder_)
    x_ND = layer.forward(ctx, x_ND, layer.keys_values(ctx, memory_MD), target, source);
  return decoder_norm_ ? (*decoder_norm_)(ctx, x_ND) : x_ND;
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
  std::vector<std::int32_t> target_in{config_.pad};
  target_in.insert(target_in.end(), target.begin(), target.end());
  const auto rows = [](std::size_t tokens) {
    return Sequences::packed(std::vector<std::int32_t>{0, static_cast<std::int32_t>(tokens)});
  };
  const auto source_rows = rows(source.size());
  decode(ctx, target_in, rows(target_in.size()), encode(ctx, source, source_rows), source_rows);
}

}  // namespace fovea::models
