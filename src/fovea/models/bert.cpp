#include "fovea/models/bert.h"

#include <algorithm>
#include <string>

#include "fovea/base/error.h"
#include "fovea/models/weights_on_disk.h"
#include "fovea/ops/dropout.h"

namespace fovea::models {
namespace {

using Family = BertConfig::Family;
using Head = BertConfig::Head;
using kernels::Activation;

std::string prefixed(const BertConfig& config, std::string_view name) {
  return std::string(names_of(config.family).prefix) + std::string(name);
}

// q, k and v leave one product: each begins as if the three were one matrix.
constexpr float packed_gain = 0.70710678f;

nn::Linear packed_qkv(nn::Builder& builder, const BertConfig& config, const std::string& layer) {
  const auto& names = names_of(config.family);
  std::vector<nn::NamedRows> parts;
  for (const auto part : {names.query, names.key, names.value})
    parts.push_back({layer + std::string(part), config.width});
  return {builder, std::move(parts), config.width, packed_gain};
}

std::string layer_name(const BertConfig& config, std::int64_t number) {
  return prefixed(config, names_of(config.family).layer) + std::to_string(number);
}

Tensor chosen(const ops::Context& ctx, const Tensor& x_ND, std::span<const std::int32_t> rows) {
  return ops::embed(ctx, ops::ids_tensor(rows), x_ND, 1.0f, {}, {});
}

// How old files call a norm's scale and shift.
std::string old_norm_name(std::string name) {
  for (const auto& [now, then] :
       {std::pair<std::string_view, std::string_view>{"LayerNorm.weight", "LayerNorm.gamma"},
        {"LayerNorm.bias", "LayerNorm.beta"}})
    if (name.ends_with(now)) return name.replace(name.size() - now.size(), now.size(), then);
  return name;
}

}  // namespace

BertLayer::BertLayer(nn::Builder& builder, const BertConfig& config, std::int64_t number)
    : place_("encoder." + std::to_string(number)),
      width_(config.width),
      heads_(config.heads),
      activation_(config.activation),
      weights_dropping_{config.attention_dropout, builder.next_site()},
      attention_dropping_{config.dropout, builder.next_site()},
      output_dropping_{config.dropout, builder.next_site()},
      qkv_(packed_qkv(builder, config, layer_name(config, number))),
      attention_out_(builder, layer_name(config, number).append(names_of(config.family).attention_out),
                     config.width, config.width),
      attention_norm_(builder, layer_name(config, number).append(names_of(config.family).attention_norm),
                      config.width, config.norm_eps),
      inner_(builder, layer_name(config, number).append(names_of(config.family).inner), config.width,
             config.feed_forward),
      outer_(builder, layer_name(config, number).append(names_of(config.family).outer), config.feed_forward,
             config.width),
      output_norm_(builder, layer_name(config, number).append(names_of(config.family).output_norm),
                   config.width, config.norm_eps) {}

Tensor BertLayer::operator()(const ops::Context& ctx, const Tensor& x_ND,
                             const std::shared_ptr<const ops::Sequences>& texts) const {
  const Tensor qkv = qkv_(ctx, x_ND);
  const Tensor context = ops::attention(ctx, {qkv, 0}, {qkv, width_}, {qkv, 2 * width_}, texts, texts,
                                        {.heads = heads_,
                                         .kv_heads = heads_,
                                         .key_width = width_ / heads_,
                                         .value_width = width_ / heads_,
                                         .dropping = weights_dropping_,
                                         .place = place_});
  const Tensor y_ND = attention_norm_.add(ctx, attention_out_(ctx, context), x_ND, attention_dropping_);
  const Tensor inner = inner_(ctx, y_ND, {.activation = activation_});
  return output_norm_.add(ctx, outer_(ctx, inner), y_ND, output_dropping_);
}

Bert::Bert(const BertConfig& config, std::uint64_t seed) : Bert(config, Declared{}) {
  parameters_.allocate(seed);
}

Bert::Bert(const BertConfig& config, Declared) : config_(config) {
  validate(config, Error::Kind::bug, "bert");
  nn::Builder builder(parameters_);
  add_embeddings(builder);
  for (std::int64_t n = 0; n < config.layers; ++n) layers_.emplace_back(builder, config_, n);
  input_dropping_ = {config.classifier_dropout, builder.next_site()};
  head_dropping_ = {config.classifier_dropout, builder.next_site()};
  if (config.pooler) pooler_.emplace(builder, prefixed(config_, "pooler.dense"), config.width, config.width);
  add_head(builder);
}

void Bert::add_embeddings(nn::Builder& builder) {
  const auto initial = nn::Initial::normal(config_.deviation);
  const auto table = [&](const char* name, std::int64_t rows) {
    return parameters_.add(prefixed(config_, std::string("embeddings.") + name + "_embeddings.weight"),
                           {rows, config_.width}, initial);
  };
  words_ = table("word", config_.vocabulary);
  words_->looked_up = true;
  words_->multiplies = config_.head == Head::masked && config_.tie_output;
  positions_ = table("position", config_.max_positions);
  if (config_.token_types > 0) types_ = table("token_type", config_.token_types);
  embedding_norm_.emplace(builder, prefixed(config_, "embeddings.LayerNorm"), config_.width,
                          config_.norm_eps);
  embedding_dropping_ = {config_.dropout, builder.next_site()};
}

void Bert::add_head(nn::Builder& builder) {
  const std::int64_t D = config_.width;
  if (config_.head == Head::masked) return add_masked_head(builder);
  if (config_.head == Head::none) return;
  std::string name = "classifier";
  if (config_.head == Head::text && config_.family == Family::distilbert)
    dense_.emplace(builder, "pre_classifier", D, D);
  if (config_.head == Head::text && is_roberta(config_.family)) {
    dense_.emplace(builder, "classifier.dense", D, D);
    name = "classifier.out_proj";
  }
  const std::int64_t C = config_.classes.size();
  nn::Parameter* weight = parameters_.add(name + ".weight", {C, D}, nn::Initial::xavier(D, C));
  weight->multiplies = true;
  output_ = {weight, parameters_.add(name + ".bias", {C}, nn::Initial::zeros())};
}

void Bert::add_masked_head(nn::Builder& builder) {
  struct Names {
    const char *dense, *norm, *decoder, *bias;
  };
  static constexpr Names of_bert{"cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm",
                                 "cls.predictions.decoder.weight", "cls.predictions.bias"};
  static constexpr Names of_distilbert{"vocab_transform", "vocab_layer_norm", "vocab_projector.weight",
                                       "vocab_projector.bias"};
  static constexpr Names of_roberta{"lm_head.dense", "lm_head.layer_norm", "lm_head.decoder.weight",
                                    "lm_head.bias"};
  const Names& names = is_roberta(config_.family)             ? of_roberta
                       : config_.family == Family::distilbert ? of_distilbert
                                                              : of_bert;
  const std::int64_t D = config_.width, V = config_.vocabulary;
  dense_.emplace(builder, names.dense, D, D);
  dense_norm_.emplace(builder, names.norm, D, config_.norm_eps);
  nn::Parameter* weight = words_;
  if (!config_.tie_output) {
    weight = parameters_.add(names.decoder, {V, D}, nn::Initial::normal(config_.deviation));
    weight->multiplies = true;
  }
  output_ = {weight, parameters_.add(names.bias, {V}, nn::Initial::zeros())};
}

std::vector<std::int32_t> Bert::positions(const TextBatch& batch) const {
  std::vector<std::int32_t> positions;
  positions.reserve(batch.tokens.size());
  for (std::size_t b = 0; b + 1 < batch.start.size(); ++b)
    for (std::int32_t i = batch.start[b]; i < batch.start[b + 1]; ++i)
      positions.push_back(config_.first_position() + i - batch.start[b]);
  return positions;
}

Tensor Bert::embedded(const ops::Context& ctx, const TextBatch& batch) const {
  const Tensor words = nn::embed(ctx, batch.tokens, *words_, 1.0f, positions(batch), positions_->value);
  Tensor types;
  if (types_) {
    std::vector<std::int32_t> ids(batch.types.begin(), batch.types.end());
    if (config_.token_types == 1) ids.clear();  // a RoBERTa reads pairs without telling them apart
    ids.resize(batch.tokens.size());
    types = ops::embed(ctx, ops::ids_tensor(ids), types_->value, 1.0f, {}, {});
  }
  const Tensor x_ND = types_ ? embedding_norm_->add(ctx, types, words, {}) : (*embedding_norm_)(ctx, words);
  return ops::dropout(ctx, x_ND, embedding_dropping_);
}

Tensor Bert::states(const ops::Context& ctx, const TextBatch& batch) const {
  expect_batch(batch);
  Tensor x_ND = embedded(ctx, batch);
  const auto texts = ops::Sequences::packed(batch.start);
  for (const auto& layer : layers_) x_ND = layer(ctx, x_ND, texts);
  return x_ND;
}

Tensor Bert::pooled(const ops::Context& ctx, const Tensor& states_ND, const TextBatch& batch) const {
  const Tensor first = chosen(ctx, states_ND, batch.start.first(batch.start.size() - 1));
  return (*pooler_)(ctx, first, {.activation = Activation::tanh});
}

// What the last layer reads of a text's first state; each family has its own.
Tensor Bert::summary(const ops::Context& ctx, const TextBatch& batch) const {
  const Tensor states_ND = states(ctx, batch);
  if (config_.family == Family::bert) return ops::dropout(ctx, pooled(ctx, states_ND, batch), head_dropping_);
  const Tensor first = chosen(ctx, states_ND, batch.start.first(batch.start.size() - 1));
  if (config_.family == Family::distilbert)
    return ops::dropout(ctx, (*dense_)(ctx, first, {.activation = Activation::relu}), head_dropping_);
  const Tensor inner =
      (*dense_)(ctx, ops::dropout(ctx, first, input_dropping_), {.activation = Activation::tanh});
  return ops::dropout(ctx, inner, head_dropping_);
}

// What the last layer reads of those tokens.
Tensor Bert::token_summary(const ops::Context& ctx, const TextBatch& batch,
                           std::span<const std::int32_t> rows) const {
  Tensor x = states(ctx, batch);
  if (!rows.empty()) x = chosen(ctx, x, rows);
  if (config_.head == Head::masked) {
    const auto activation = is_roberta(config_.family) ? Activation::gelu : config_.activation;
    return (*dense_norm_)(ctx, (*dense_)(ctx, x, {.activation = activation}));
  }
  return ops::dropout(ctx, x, head_dropping_);
}

Tensor Bert::token_logits(const ops::Context& ctx, const TextBatch& batch,
                          std::span<const std::int32_t> rows) const {
  return nn::linear(ctx, token_summary(ctx, batch, rows), *output_.weight, output_.bias->value);
}

ops::LossSums Bert::token_loss(const ops::Context& ctx, const TextBatch& batch,
                               std::span<const std::int32_t> rows, std::span<const std::int32_t> targets,
                               float label_smoothing, float weight) const {
  return ops::linear_cross_entropy(ctx, token_summary(ctx, batch, rows), output_.weight->value,
                                   output_.bias->value, ops::ids_tensor(targets), label_smoothing, weight);
}

// What a file may hold beside the parameters: buffers, the output layer where it is the embedding, and heads
// and pooler that nobody asked for.
bool Bert::is_redundant(std::string_view name, const formats::Weights& file) const {
  const std::string_view prefix = names_of(config_.family).prefix;
  if (name.ends_with("embeddings.position_ids") || name.ends_with("embeddings.token_type_ids")) return true;
  if (name.starts_with("cls.seq_relationship.") || name == "cls.predictions.decoder.bias" ||
      name == "lm_head.decoder.bias")
    return true;
  if (config_.tie_output && config_.head == Head::masked &&
      (name == "cls.predictions.decoder.weight" || name == "vocab_projector.weight" ||
       name == "lm_head.decoder.weight"))
    return true;
  if (!config_.pooler && name.substr(name.starts_with(prefix) ? prefix.size() : 0).starts_with("pooler."))
    return true;
  const bool has_prefix = file.has(prefixed(config_, "embeddings.word_embeddings.weight"));
  return config_.head == Head::none && has_prefix && !name.starts_with(prefix);
}

void Bert::read(const formats::Weights& file, const Packing* packing, bool encoder_only) {
  const std::string prefix(names_of(config_.family).prefix);
  const bool has_prefix = file.has(prefix + "embeddings.word_embeddings.weight");
  FileNames names;
  names.left_out = has_prefix ? "" : prefix;
  if (file.has((has_prefix ? prefix : "") + "embeddings.LayerNorm.gamma")) names.spelled = old_norm_name;
  names.is_redundant = [&](std::string_view name) {
    return is_redundant(name, file) || (encoder_only && has_prefix && !name.starts_with(prefix));
  };
  if (encoder_only)
    names.begins_anew = [&](std::string_view parameter) {
      if (!parameter.starts_with(prefix)) return true;
      return parameter.starts_with(prefix + "pooler.") && !file.has(names.of(std::string(parameter)));
    };
  packed_non_finite_ = read_parameters(file, parameters_, packing, names);
}

void Bert::read_weights(const formats::Weights& file, const Packing* packing) { read(file, packing, false); }

void Bert::read_pretrained(const formats::Weights& file) { read(file, nullptr, true); }

}  // namespace fovea::models
