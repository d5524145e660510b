#include "fovea/models/t5.h"

#include <array>

#include "fovea/formats/json_writer.h"
#include "fovea/models/config_checks.h"
#include "fovea/models/fairseq_keys.h"

namespace fovea::models {
namespace {

using Family = TransformerConfig::Family;
using formats::Json;
using kernels::Activation;

constexpr std::int64_t any_length = 1 << 15;  // tokens: what memory allows, not positions

struct Projection {
  std::string_view name;
  bool gated;
  Activation activation;
};
constexpr std::array projections{Projection{"relu", false, Activation::relu},
                                 Projection{"gated-gelu", true, Activation::gelu_tanh},
                                 Projection{"gated-silu", true, Activation::silu},
                                 Projection{"gelu", false, Activation::gelu},
                                 Projection{"gelu_new", false, Activation::gelu_tanh},
                                 Projection{"silu", false, Activation::silu},
                                 Projection{"gated-relu", true, Activation::relu}};

void read_projection(const Json& config, TransformerConfig& model) {
  const std::string name = config.text_or("feed_forward_proj", "relu");
  for (const auto& projection : projections)
    if (projection.name == name) {
      model.gated = projection.gated;
      model.activation = projection.activation;
      return;
    }
  config.at("feed_forward_proj")
      .reject("unknown projection '" + printable(name) + "'", "known are relu, gated-gelu, gated-silu, ...");
}

std::string_view projection_name(const TransformerConfig& config) {
  for (const auto& projection : projections)
    if (projection.gated == config.gated && projection.activation == config.activation)
      return projection.name;
  throw Error(Error::Kind::bug, "config.json", "a feed-forward layer has no name");
}

}  // namespace

bool is_t5(std::string_view model_type) { return model_type == "t5" || model_type == "mt5"; }

std::string t5_config_json(const TransformerConfig& config, DType weights) {
  const bool multilingual = config.family == Family::mt5;
  formats::JsonWriter json;
  json.begin_object();
  write_model_type(json, multilingual ? "MT5ForConditionalGeneration" : "T5ForConditionalGeneration",
                   multilingual ? "mt5" : "t5");
  json.field("d_model", config.width)
      .field("d_kv", config.d_k())
      .field("d_ff", config.feed_forward)
      .field("num_layers", config.encoder_layers)
      .field("num_decoder_layers", config.decoder_layers)
      .field("num_heads", config.heads)
      .field("vocab_size", config.source_vocabulary)
      .field("relative_attention_num_buckets", config.distance_buckets)
      .field("relative_attention_max_distance", config.max_distance)
      .field("feed_forward_proj", projection_name(config))
      .field("layer_norm_epsilon", config.norm_eps)
      .field("dropout_rate", config.dropout)
      .field("tie_word_embeddings", config.scale_output)  // what it means there
      .field("scale_decoder_outputs", config.scale_output);
  write_special_tokens(json, config);
  write_weights_type(json, weights);
  return json.end_object().finish();
}

TransformerConfig read_t5_config(const Json& config) {
  TransformerConfig model;
  model.family = config.at("model_type").text() == "mt5" ? Family::mt5 : Family::t5;
  model.width = config.at("d_model").integer(1, 65536);
  model.key_width = model.value_width = config.at("d_kv").integer(1, 4096);
  model.feed_forward = config.at("d_ff").integer(1, 1 << 20);
  model.encoder_layers = config.at("num_layers").integer(1, 1000);
  model.decoder_layers = config.integer_or("num_decoder_layers", model.encoder_layers, 1, 1000);
  model.heads = config.at("num_heads").integer(1, 1024);
  model.source_vocabulary = model.target_vocabulary = config.at("vocab_size").integer(1, 4'000'000);
  model.distance_buckets = config.integer_or("relative_attention_num_buckets", 32, 4, 1 << 16);
  model.max_distance = config.integer_or("relative_attention_max_distance", 128, 2, 1 << 20);
  read_projection(config, model);
  model.norm_eps = static_cast<float>(config.number_or("layer_norm_epsilon", 1e-6, 0.0, 1.0));
  model.dropout = model.attention_dropout = model.activation_dropout = share_of(config, "dropout_rate", 0.1);
  // Of one switch two things follow, unless the newer key tells them apart.
  model.tie_output = config.boolean_or("tie_word_embeddings", model.family == Family::t5);
  model.scale_output = config.boolean_or("scale_decoder_outputs", model.tie_output);
  model.norm = TransformerConfig::Norm::pre;
  model.norm_kind = TransformerConfig::NormKind::rms;
  model.positions = TransformerConfig::Positions::relative;
  model.max_positions = any_length;
  model.score_scale = 1.0f;
  model.biases = model.scale_embedding = false;
  model.pad = 0;
  model.eos = 1;
  model.unk = 2;
  read_special_tokens(config, model);
  return model;
}

}  // namespace fovea::models
