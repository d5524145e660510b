#include "fovea/models/marian.h"

#include <cmath>

#include "fovea/formats/json_writer.h"
#include "fovea/models/config_checks.h"
#include "fovea/models/fairseq_keys.h"

namespace fovea::models {
namespace {

using formats::Json;
using Family = TransformerConfig::Family;
using Norm = TransformerConfig::Norm;
using Positions = TransformerConfig::Positions;

constexpr std::int64_t largest = 4'000'000;

std::int32_t token_id(const Json& config, std::string_view key) {
  return static_cast<std::int32_t>(config.at(key).integer(0, largest));
}

}  // namespace

bool is_marian(std::string_view model_type) {
  return model_type == "marian" || model_type == "fovea-transformer";
}

std::string why_not_marian(const TransformerConfig& config) {
  if (config.family != Family::marian) return "another family's layers";
  if (config.norm != Norm::post) return "pre-norm layers";
  if (config.positions != Positions::sinusoidal) return "learned positions";
  if (config.d_k() * config.heads != config.width || config.d_v() * config.heads != config.width)
    return "heads that are not as wide as the model divided by their number";
  if (!config.tie_output) return "an output layer of its own";
  return "";
}

std::string marian_config_json(const TransformerConfig& config, const GenerationDefaults& generation,
                               DType weights) {
  const bool marian = why_not_marian(config).empty();
  formats::JsonWriter json;
  json.begin_object();
  write_model_type(json, marian ? "MarianMTModel" : "FoveaTransformer",
                   marian ? "marian" : "fovea-transformer");
  write_fairseq_keys(json, config);
  json.field("decoder_vocab_size", config.target_vocabulary)
      .field("share_encoder_decoder_embeddings", config.tie_source_target)
      .field("normalize_before", config.norm == Norm::pre)
      .field("normalize_embedding", false)
      .field("add_final_layer_norm", config.norm == Norm::pre)
      .field("static_position_embeddings", config.positions == Positions::sinusoidal);
  if (!marian) json.field("fovea_key_width", config.d_k()).field("fovea_value_width", config.d_v());
  json.field("init_std", 1.0 / std::sqrt(static_cast<double>(config.width)))
      .field("eos_token_id", config.eos)
      .field("unk_token_id", config.unk)
      .field("pad_token_id", config.pad)
      .field("bos_token_id", config.eos)
      .field("decoder_start_token_id", config.pad)
      .field("forced_eos_token_id", config.eos)
      .field("num_beams", generation.beam)
      .field("length_penalty", generation.length_penalty);
  write_weights_type(json, weights);
  return json.end_object().finish();
}

TransformerConfig read_marian_config(const Json& config) {
  TransformerConfig model;
  read_fairseq_keys(config, model);
  model.target_vocabulary = config.integer_or("decoder_vocab_size", model.source_vocabulary, 1, largest);
  model.tie_source_target = config.boolean_or("share_encoder_decoder_embeddings", true);
  model.norm = config.boolean_or("normalize_before", false) ? Norm::pre : Norm::post;
  model.positions =
      config.boolean_or("static_position_embeddings", true) ? Positions::sinusoidal : Positions::learned;
  model.key_width = config.integer_or("fovea_key_width", 0, 0, 4096);
  model.value_width = config.integer_or("fovea_value_width", 0, 0, 4096);
  model.eos = token_id(config, "eos_token_id");
  model.pad = token_id(config, "pad_token_id");
  model.unk = static_cast<std::int32_t>(config.integer_or("unk_token_id", 1, 0, largest));
  expect_flag(config, "normalize_embedding", false);
  expect_flag(config, "add_final_layer_norm", model.norm == Norm::pre);
  if (token_id(config, "decoder_start_token_id") != model.pad)
    config.at("decoder_start_token_id").reject("differs from pad_token_id", "the decoder must start on pad");
  return model;
}

}  // namespace fovea::models
