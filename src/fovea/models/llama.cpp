#include "fovea/models/llama.h"

#include <array>
#include <numeric>
#include <utility>

#include "fovea/formats/json_writer.h"
#include "fovea/models/activation_names.h"
#include "fovea/models/config_checks.h"
#include "fovea/models/rotary_config.h"
#include "fovea/ops/gated.h"
#include "fovea/ops/rotary.h"

namespace fovea::models {
namespace {

using Family = LlamaConfig::Family;
using nn::Bias;

constexpr float deviation = 0.02f;
constexpr std::string_view prefix = "model.";

struct FamilyName {
  Family family;
  std::string_view model_type, architecture;
};
constexpr std::array families{FamilyName{Family::llama, "llama", "LlamaForCausalLM"},
                              FamilyName{Family::mistral, "mistral", "MistralForCausalLM"},
                              FamilyName{Family::qwen2, "qwen2", "Qwen2ForCausalLM"}};

const FamilyName& name_of(Family family) { return families[static_cast<std::size_t>(family)]; }

nn::LinearForm form(bool bias) {
  return {.bias = bias ? Bias::with : Bias::without, .initial = nn::Initial::normal(deviation)};
}

attention::CausalHeads heads_of(const LlamaConfig& config, std::size_t layer, std::uint32_t site) {
  return {.heads = config.heads,
          .kv_heads = config.keys(),
          .width = config.E(),
          .window = std::cmp_less(layer, config.window_from) ? 0 : config.window,
          .dropout = config.attention_dropout,
          .site = site};
}

std::vector<nn::NamedRows> qkv_parts(const std::string& name, const LlamaConfig& config) {
  const std::int64_t queries = config.heads * config.E(), keys = config.keys() * config.E();
  return {{name + ".q_proj", queries}, {name + ".k_proj", keys}, {name + ".v_proj", keys}};
}

// Newer files also list what each layer does; it must be what the other keys say.
void expect_layer_types(const formats::Json& config, const LlamaConfig& model) {
  const auto types = config.find("layer_types");
  if (!types) return;
  std::int64_t layer = 0;
  for (const auto& type : types->elements()) {
    const bool windowed = model.window > 0 && layer++ >= model.window_from;
    if (type.text() != (windowed ? "sliding_attention" : "full_attention"))
      type.reject("'" + printable(type.text()) + "' is not what sliding_window says of this layer");
  }
}

bool is_redundant(std::string_view name, const LlamaConfig& config) {
  return name.ends_with(".rotary_emb.inv_freq") || (config.tie_output && name == "lm_head.weight");
}

}  // namespace

std::string_view model_type_of(Family family) { return name_of(family).model_type; }

bool is_llama(std::string_view model_type) {
  return std::ranges::any_of(families, [&](const auto& family) { return family.model_type == model_type; });
}

void validate(const LlamaConfig& config, Error::Kind kind, std::string_view where) {
  const ConfigChecks expect{kind, where};
  expect.within(config.vocabulary, 2, 4'000'000, "vocabulary");
  expect.within(config.max_positions, 1, std::int64_t{1} << 30, "number of positions");
  expect.within(config.width, 1, 65536, "width");
  expect.within(config.layers, 1, 1000, "number of layers");
  expect.within(config.heads, 1, 1024, "number of heads");
  expect.within(config.keys(), 1, config.heads, "number of key heads");
  expect.within(config.head_width, 0, 4096, "width of a head");
  expect.within(config.feed_forward, 1, 1 << 20, "feed-forward width");
  expect.within(config.window, 0, std::int64_t{1} << 30, "window");
  expect.require(config.heads % config.keys() == 0, std::to_string(config.heads) + " heads cannot share " +
                                                        std::to_string(config.keys()) + " key heads evenly");
  expect.require(config.head_width > 0 || config.width % config.heads == 0,
                 "width " + std::to_string(config.width) + " is not a multiple of " +
                     std::to_string(config.heads) + " heads");
  expect.within(config.rotary.rotated, 2, config.E(), "rotated part of a head");
  expect.shares({config.attention_dropout, config.dropout});
  if (config.bos) expect.tokens({*config.bos}, config.vocabulary);
  expect.tokens(config.eos, config.vocabulary);
}

double parameter_count(const LlamaConfig& config) {
  const auto number = [](std::int64_t n) { return static_cast<double>(n); };
  const double D = number(config.width), F = number(config.feed_forward);
  const double queries = number(config.heads * config.E()), keys = number(config.keys() * config.E());
  double block = 2 * D + D * (queries + 2 * keys) + queries * D + 3 * D * F;
  if (config.qkv_bias) block += queries + 2 * keys;
  if (config.output_bias) block += D;
  if (config.feed_forward_bias) block += 2 * F + D;
  return number(config.vocabulary) * D * (config.tie_output ? 1 : 2) + number(config.layers) * block + D;
}

LlamaBlock::LlamaBlock(nn::Builder& builder, const std::string& name, const LlamaConfig& config,
                       std::size_t layer)
    : layer_(layer),
      place_("decoder." + std::to_string(layer) + ".self"),
      heads_(heads_of(config, layer, builder.next_site())),
      activation_(config.activation),
      input_norm_(builder, name + ".input_layernorm", config.width, config.norm_eps),
      qkv_(builder, qkv_parts(name + ".self_attn", config), config.width, form(config.qkv_bias)),
      o_proj_(builder, name + ".self_attn.o_proj", config.heads * config.E(), config.width,
              form(config.output_bias)),
      post_attention_norm_(builder, name + ".post_attention_layernorm", config.width, config.norm_eps),
      gate_up_(builder,
               {{name + ".mlp.gate_proj", config.feed_forward}, {name + ".mlp.up_proj", config.feed_forward}},
               config.width, form(config.feed_forward_bias)),
      down_proj_(builder, name + ".mlp.down_proj", config.feed_forward, config.width,
                 form(config.feed_forward_bias)),
      attention_dropping_{config.dropout, builder.next_site()},
      mlp_dropping_{config.dropout, builder.next_site()} {}

Tensor LlamaBlock::operator()(const ops::Context& ctx, Tensor x_ND, const attention::CausalPass& pass,
                              const ops::RotaryTables& turn, const Tensor& row) const {
  const Tensor qkv = qkv_(ctx, input_norm_(ctx, x_ND));
  ops::rotary_in_place(ctx, {qkv, 0}, turn, row,
                       {.heads = heads_.heads + heads_.kv_heads, .width = heads_.width});
  x_ND = ops::add_residual(ctx, o_proj_(ctx, pass.attend(ctx, layer_, qkv, heads_, place_)), x_ND,
                           attention_dropping_);
  const Tensor inner = ops::gated(ctx, gate_up_(ctx, post_attention_norm_(ctx, x_ND)), activation_);
  return ops::add_residual(ctx, down_proj_(ctx, inner), x_ND, mlp_dropping_);
}

Llama::Llama(const LlamaConfig& config, std::uint64_t seed) : Llama(config, Declared{}) {
  parameters_.allocate(seed);
}

Llama::Llama(const LlamaConfig& config, Declared) : config_(config) {
  validate(config, Error::Kind::bug, "llama");
  nn::Builder builder(parameters_);
  const std::string name(prefix);
  const auto initial = nn::Initial::normal(deviation);
  embed_tokens_ = parameters_.add(name + "embed_tokens.weight", {config.vocabulary, config.width}, initial);
  dropping_ = {config.dropout, builder.next_site()};
  for (std::size_t n = 0; std::cmp_less(n, config.layers); ++n)
    blocks_.emplace_back(builder, name + "layers." + std::to_string(n), config, n);
  norm_.emplace(builder, name + "norm", config.width, config.norm_eps);
  output_ = config.tie_output ? embed_tokens_
                              : parameters_.add("lm_head.weight", {config.vocabulary, config.width}, initial);
  embed_tokens_->looked_up = true;
  output_->multiplies = true;
}

std::int64_t Llama::max_positions() const {
  const auto& scaling = config_.rotary.scaling;
  if (scaling.rule != attention::RotaryRule::dynamic) return config_.max_positions;
  return static_cast<std::int64_t>(static_cast<double>(config_.max_positions) * scaling.factor);
}

Tensor Llama::states(const ops::Context& ctx, std::span<const std::int32_t> tokens,
                     const attention::CausalPass& pass) const {
  const auto turn = attention::rotary_tables_at(config_.rotary, pass.position());
  std::vector<std::int32_t> rows(static_cast<std::size_t>(pass.rows()));
  std::iota(rows.begin(), rows.end(), 0);
  const Tensor row = ops::ids_tensor(rows);
  Tensor x_ND = nn::embed(ctx, tokens, *embed_tokens_, 1.0f, pass.position(), {}, dropping_);
  for (const auto& block : blocks_) x_ND = block(ctx, x_ND, pass, turn, row);
  return (*norm_)(ctx, x_ND);
}

std::vector<attention::CausalHeads> Llama::heads() const {
  std::vector<attention::CausalHeads> heads;
  for (const auto& block : blocks_) heads.push_back(block.heads());
  return heads;
}

FileNames Llama::names_in(const formats::Weights& file) const {
  return {.is_redundant = [this](std::string_view name) { return is_redundant(name, config_); },
          .left_out = file.has("embed_tokens.weight") ? std::string(prefix) : ""};
}

void clear_dropout(LlamaConfig& config) { config.dropout = config.attention_dropout = 0.0f; }

std::string config_json(const LlamaConfig& config, DType weights) {
  const FamilyName& family = name_of(config.family);
  formats::JsonWriter json;
  json.begin_object();
  json.key("architectures").begin_array().value(family.architecture).end_array();
  json.field("model_type", family.model_type)
      .field("vocab_size", config.vocabulary)
      .field("max_position_embeddings", config.max_positions)
      .field("hidden_size", config.width)
      .field("num_hidden_layers", config.layers)
      .field("num_attention_heads", config.heads)
      .field("num_key_value_heads", config.keys())
      .field("head_dim", config.E())
      .field("intermediate_size", config.feed_forward)
      .field("hidden_act",
             activation_name(config.activation) == "swish" ? "silu" : activation_name(config.activation))
      .field("rms_norm_eps", config.norm_eps)
      .field("initializer_range", deviation)
      .field("attention_dropout", config.attention_dropout)
      .field("tie_word_embeddings", config.tie_output)
      .field("torch_dtype", weights == DType::bf16 ? "bfloat16" : "float32");
  write_rotary(json, config.rotary);
  if (config.family == Family::llama)
    json.field("attention_bias", config.qkv_bias).field("mlp_bias", config.feed_forward_bias);
  if (config.family == Family::qwen2)
    json.field("use_sliding_window", config.window > 0).field("max_window_layers", config.window_from);
  if (config.family != Family::llama) {
    json.key("sliding_window");
    config.window > 0 ? json.value(config.window) : json.null();
  }
  write_special_tokens(json, config.bos, config.eos);
  return json.end_object().finish();
}

LlamaConfig read_llama_config(const formats::Json& config) {
  LlamaConfig model;
  for (const auto& family : families)
    if (family.model_type == config.at("model_type").text()) model.family = family.family;
  model.vocabulary = config.at("vocab_size").integer(2, 4'000'000);
  model.max_positions = config.integer_or("max_position_embeddings", 2048, 1, std::int64_t{1} << 30);
  model.width = config.at("hidden_size").integer(1, 65536);
  model.layers = config.at("num_hidden_layers").integer(1, 1000);
  model.heads = config.at("num_attention_heads").integer(1, 1024);
  model.kv_heads = config.integer_or("num_key_value_heads", model.heads, 1, 1024);
  model.head_width = config.integer_or("head_dim", 0, 1, 4096);
  model.feed_forward = config.at("intermediate_size").integer(1, 1 << 20);
  if (const auto name = config.find("hidden_act")) model.activation = activation_of(*name);
  model.norm_eps = static_cast<float>(config.number_or("rms_norm_eps", 1e-6, 0.0, 1.0));
  model.rotary = read_rotary(config, model.E());
  const bool biased = config.boolean_or("attention_bias", false);
  model.qkv_bias = biased || model.family == Family::qwen2;
  model.output_bias = biased && model.family == Family::llama;
  model.feed_forward_bias = config.boolean_or("mlp_bias", false);
  const bool windowed = model.family == Family::mistral ||
                        (model.family == Family::qwen2 && config.boolean_or("use_sliding_window", false));
  if (windowed) model.window = config.integer_or("sliding_window", 0, 0, std::int64_t{1} << 30);
  if (windowed && model.family == Family::qwen2)
    model.window_from = config.integer_or("max_window_layers", 28, 0, 1000);
  model.tie_output = config.boolean_or("tie_word_embeddings", false);
  model.attention_dropout = share_of(config, "attention_dropout");
  model.bos = first_token_id(config, "bos_token_id");
  model.eos = token_ids(config, "eos_token_id");
  expect_layer_types(config, model);
  validate(model, Error::Kind::model, "config.json");
  return model;
}

}  // namespace fovea::models
