#include "fovea/models/gpt2.h"

#include <cmath>

#include "fovea/formats/json_writer.h"
#include "fovea/models/activation_names.h"
#include "fovea/models/config_checks.h"

namespace fovea::models {
namespace {

constexpr float deviation = 0.02f;  // Radford et al. 2018, section 4.1
constexpr std::string_view prefix = "transformer.";

nn::LinearForm conv1d(float scale = 1.0f) {
  return {.initial = nn::Initial::normal(deviation * scale), .input_first = true};
}

// What adds to the residual begins smaller, the more often it is added (Radford et al. 2019, section 2.3).
float residual_scale(const Gpt2Config& config) {
  return 1.0f / std::sqrt(2.0f * static_cast<float>(config.layers));
}

attention::CausalHeads heads_of(const Gpt2Config& config, std::size_t layer, std::uint32_t site) {
  const std::int64_t E = config.width / config.heads;
  float scale = config.scale_scores ? 1.0f / std::sqrt(static_cast<float>(E)) : 1.0f;
  if (config.scale_scores_by_layer) scale /= static_cast<float>(layer + 1);
  return {.heads = config.heads,
          .kv_heads = config.heads,
          .width = E,
          .scale = scale,
          .dropout = config.attention_dropout,
          .site = site};
}

// Masks that older files hold, and the output layer where it is the embedding.
bool is_redundant(std::string_view name, const Gpt2Config& config) {
  return name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias") ||
         (config.tie_output && name == "lm_head.weight");
}

}  // namespace

void validate(const Gpt2Config& config, Error::Kind kind, std::string_view where) {
  const ConfigChecks expect{kind, where};
  expect.within(config.vocabulary, 2, 4'000'000, "vocabulary");
  expect.within(config.max_positions, 1, 1 << 20, "number of positions");
  expect.within(config.width, 1, 65536, "width");
  expect.within(config.layers, 1, 1000, "number of layers");
  expect.within(config.heads, 1, 1024, "number of heads");
  expect.within(config.inner(), 1, 1 << 20, "feed-forward width");
  expect.require(config.width % config.heads == 0, "width " + std::to_string(config.width) +
                                                       " is not a multiple of " +
                                                       std::to_string(config.heads) + " heads");
  expect.shares({config.embedding_dropout, config.residual_dropout, config.attention_dropout});
  if (config.bos) expect.tokens({*config.bos}, config.vocabulary);
  expect.tokens(config.eos, config.vocabulary);
}

double parameter_count(const Gpt2Config& config) {
  const auto D = static_cast<double>(config.width), F = static_cast<double>(config.inner());
  const double block = 4 * D + (D + 1) * 3 * D + (D + 1) * D + (D + 1) * F + (F + 1) * D;
  const double tables = static_cast<double>(config.vocabulary) * (config.tie_output ? 1 : 2) +
                        static_cast<double>(config.max_positions);
  return tables * D + static_cast<double>(config.layers) * block + 2 * D;
}

Gpt2Block::Gpt2Block(nn::Builder& builder, const std::string& name, const Gpt2Config& config,
                     std::size_t layer)
    : layer_(layer),
      place_("decoder." + std::to_string(layer) + ".self"),
      heads_(heads_of(config, layer, builder.next_site())),
      activation_(config.activation),
      ln_1_(builder, name + ".ln_1", config.width, config.norm_eps),
      c_attn_(builder, name + ".attn.c_attn", config.width, heads_.columns(), conv1d()),
      attention_c_proj_(builder, name + ".attn.c_proj", config.width, config.width,
                        conv1d(residual_scale(config))),
      ln_2_(builder, name + ".ln_2", config.width, config.norm_eps),
      c_fc_(builder, name + ".mlp.c_fc", config.width, config.inner(), conv1d()),
      mlp_c_proj_(builder, name + ".mlp.c_proj", config.inner(), config.width,
                  conv1d(residual_scale(config))),
      attention_dropping_{config.residual_dropout, builder.next_site()},
      mlp_dropping_{config.residual_dropout, builder.next_site()} {}

Tensor Gpt2Block::operator()(const ops::Context& ctx, Tensor x_ND, const attention::CausalPass& pass) const {
  const Tensor context = pass.attend(ctx, layer_, c_attn_(ctx, ln_1_(ctx, x_ND)), heads_, place_);
  x_ND = ops::add_residual(ctx, attention_c_proj_(ctx, context), x_ND, attention_dropping_);
  const Tensor inner = c_fc_(ctx, ln_2_(ctx, x_ND), {.activation = activation_});
  return ops::add_residual(ctx, mlp_c_proj_(ctx, inner), x_ND, mlp_dropping_);
}

Gpt2::Gpt2(const Gpt2Config& config, std::uint64_t seed) : Gpt2(config, Declared{}) {
  parameters_.allocate(seed);
}

Gpt2::Gpt2(const Gpt2Config& config, Declared) : config_(config) {
  validate(config, Error::Kind::bug, "gpt2");
  nn::Builder builder(parameters_);
  const std::string name(prefix);
  const auto initial = nn::Initial::normal(deviation);
  wte_ = parameters_.add(name + "wte.weight", {config.vocabulary, config.width}, initial);
  wpe_ = parameters_.add(name + "wpe.weight", {config.max_positions, config.width}, initial);
  dropping_ = {config.embedding_dropout, builder.next_site()};
  for (std::size_t n = 0; std::cmp_less(n, config.layers); ++n)
    blocks_.emplace_back(builder, name + "h." + std::to_string(n), config, n);
  ln_f_.emplace(builder, name + "ln_f", config.width, config.norm_eps);
  output_ = config.tie_output ? wte_
                              : parameters_.add("lm_head.weight", {config.vocabulary, config.width}, initial);
  wte_->looked_up = true;
  output_->multiplies = true;
}

Tensor Gpt2::states(const ops::Context& ctx, std::span<const std::int32_t> tokens,
                    const attention::CausalPass& pass) const {
  Tensor x_ND = nn::embed(ctx, tokens, *wte_, 1.0f, pass.position(), wpe_->value, dropping_);
  for (const auto& block : blocks_) x_ND = block(ctx, x_ND, pass);
  return (*ln_f_)(ctx, x_ND);
}

std::vector<attention::CausalHeads> Gpt2::heads() const {
  std::vector<attention::CausalHeads> heads;
  for (const auto& block : blocks_) heads.push_back(block.heads());
  return heads;
}

FileNames Gpt2::names_in(const formats::Weights& file) const {
  return {.is_redundant = [this](std::string_view name) { return is_redundant(name, config_); },
          .left_out = file.has("wte.weight") ? std::string(prefix) : ""};
}

void clear_dropout(Gpt2Config& config) {
  config.embedding_dropout = config.residual_dropout = config.attention_dropout = 0.0f;
}

std::string config_json(const Gpt2Config& config, DType weights) {
  formats::JsonWriter json;
  json.begin_object();
  json.key("architectures").begin_array().value("GPT2LMHeadModel").end_array();
  json.field("model_type", "gpt2")
      .field("vocab_size", config.vocabulary)
      .field("n_positions", config.max_positions)
      .field("n_embd", config.width)
      .field("n_layer", config.layers)
      .field("n_head", config.heads)
      .field("n_inner", config.inner())
      .field("activation_function", activation_name(config.activation))
      .field("layer_norm_epsilon", config.norm_eps)
      .field("initializer_range", deviation)
      .field("scale_attn_weights", config.scale_scores)
      .field("scale_attn_by_inverse_layer_idx", config.scale_scores_by_layer)
      .field("tie_word_embeddings", config.tie_output)
      .field("embd_pdrop", config.embedding_dropout)
      .field("resid_pdrop", config.residual_dropout)
      .field("attn_pdrop", config.attention_dropout)
      .field("torch_dtype", weights == DType::bf16 ? "bfloat16" : "float32");
  write_special_tokens(json, config.bos, config.eos);
  return json.end_object().finish();
}

Gpt2Config read_gpt2_config(const formats::Json& config) {
  Gpt2Config model;
  model.vocabulary = config.at("vocab_size").integer(2, 4'000'000);
  model.max_positions = config.integer_or("n_positions", 1024, 1, 1 << 20);
  model.width = config.integer_or("n_embd", 768, 1, 65536);
  model.layers = config.integer_or("n_layer", 12, 1, 1000);
  model.heads = config.integer_or("n_head", 12, 1, 1024);
  model.feed_forward = config.integer_or("n_inner", 0, 0, 1 << 20);
  if (const auto name = config.find("activation_function")) model.activation = activation_of(*name);
  model.norm_eps = static_cast<float>(config.number_or("layer_norm_epsilon", 1e-5, 0.0, 1.0));
  model.scale_scores = config.boolean_or("scale_attn_weights", true);
  model.scale_scores_by_layer = config.boolean_or("scale_attn_by_inverse_layer_idx", false);
  model.tie_output = config.boolean_or("tie_word_embeddings", true);
  model.embedding_dropout = share_of(config, "embd_pdrop", 0.1);
  model.residual_dropout = share_of(config, "resid_pdrop", 0.1);
  model.attention_dropout = share_of(config, "attn_pdrop", 0.1);
  model.bos = first_token_id(config, "bos_token_id");
  model.eos = token_ids(config, "eos_token_id");
  expect_flag(config, "add_cross_attention", false);
  validate(model, Error::Kind::model, "config.json");
  return model;
}

}  // namespace fovea::models
