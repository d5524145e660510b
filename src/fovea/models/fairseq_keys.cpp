#include "fovea/models/fairseq_keys.h"

#include <algorithm>
#include <string>

#include "fovea/models/activation_names.h"
#include "fovea/models/config_checks.h"

namespace fovea::models {
namespace {

using formats::Json;

constexpr std::int64_t largest = 4'000'000;

// Two keys of which the config has one a side; fovea builds both sides alike.
std::int64_t same(const Json& config, const char* encoder_key, const char* decoder_key, std::int64_t most) {
  const std::int64_t value = config.at(encoder_key).integer(1, most);
  const std::int64_t other = config.at(decoder_key).integer(1, most);
  if (other != value)
    config.at(decoder_key)
        .reject(std::to_string(other) + ", but " + encoder_key + " is " + std::to_string(value),
                "encoder and decoder must agree");
  return value;
}

}  // namespace

void read_fairseq_keys(const Json& config, TransformerConfig& model) {
  model.width = config.at("d_model").integer(1, 65536);
  model.encoder_layers = config.at("encoder_layers").integer(1, 1000);
  model.decoder_layers = config.at("decoder_layers").integer(1, 1000);
  model.heads = same(config, "encoder_attention_heads", "decoder_attention_heads", 1024);
  model.feed_forward = same(config, "encoder_ffn_dim", "decoder_ffn_dim", 1 << 20);
  model.activation = activation_of(config.at("activation_function"));
  model.max_positions = config.at("max_position_embeddings").integer(1, 1 << 20);
  model.source_vocabulary = model.target_vocabulary = config.at("vocab_size").integer(1, largest);
  model.scale_embedding = config.boolean_or("scale_embedding", false);
  model.tie_output = config.boolean_or("tie_word_embeddings", true);
  model.dropout = share_of(config, "dropout");
  model.attention_dropout = share_of(config, "attention_dropout");
  model.activation_dropout = share_of(config, "activation_dropout");
}

void write_fairseq_keys(formats::JsonWriter& json, const TransformerConfig& config) {
  json.field("d_model", config.width)
      .field("encoder_layers", config.encoder_layers)
      .field("decoder_layers", config.decoder_layers)
      .field("num_hidden_layers", config.encoder_layers)
      .field("encoder_attention_heads", config.heads)
      .field("decoder_attention_heads", config.heads)
      .field("encoder_ffn_dim", config.feed_forward)
      .field("decoder_ffn_dim", config.feed_forward)
      .field("activation_function", activation_name(config.activation))
      .field("max_position_embeddings", config.max_positions)
      .field("vocab_size", config.source_vocabulary)
      .field("scale_embedding", config.scale_embedding)
      .field("tie_word_embeddings", config.tie_output)
      .field("dropout", config.dropout)
      .field("attention_dropout", config.attention_dropout)
      .field("activation_dropout", config.activation_dropout);
}

std::int32_t token_or(const Json& config, std::string_view key, std::int32_t otherwise) {
  return first_token_id(config, key).value_or(otherwise);
}

void read_special_tokens(const Json& config, TransformerConfig& model) {
  model.bos = token_or(config, "bos_token_id", model.bos);
  model.eos = token_or(config, "eos_token_id", model.eos);
  model.pad = token_or(config, "pad_token_id", model.pad);
  model.start = token_or(config, "decoder_start_token_id", model.first());
  // Which token stands for what is not known is the tokenizer's affair; small models may have none.
  const auto last = static_cast<std::int32_t>(model.target_vocabulary - 1);
  model.unk = std::min(token_or(config, "unk_token_id", model.unk), last);
}

void write_special_tokens(formats::JsonWriter& json, const TransformerConfig& config) {
  if (config.bos >= 0) json.field("bos_token_id", config.bos);
  json.field("eos_token_id", config.eos)
      .field("pad_token_id", config.pad)
      .field("unk_token_id", config.unk)
      .field("decoder_start_token_id", config.first());
}

void write_model_type(formats::JsonWriter& json, std::string_view architecture, std::string_view model_type) {
  json.key("architectures").begin_array().value(architecture).end_array();
  json.field("model_type", model_type).field("is_encoder_decoder", true);
}

void write_weights_type(formats::JsonWriter& json, DType weights) {
  json.field("use_cache", true).field("torch_dtype", weights == DType::bf16 ? "bfloat16" : "float32");
}

}  // namespace fovea::models
