#include "fovea/models/marian.h"

#include <algorithm>
#include <cmath>

#include "fovea/formats/json_writer.h"
#include "fovea/formats/safetensors.h"
#include "fovea/models/activation_names.h"
#include "fovea/models/config_checks.h"
#include "fovea/models/weights_on_disk.h"

namespace fovea::models {
namespace {

using formats::Json;
using Norm = TransformerConfig::Norm;
using Positions = TransformerConfig::Positions;

constexpr std::int64_t largest = 4'000'000;

std::int32_t token_id(const Json& config, std::string_view key) {
  return static_cast<std::int32_t>(config.at(key).integer(0, largest));
}

// Two keys of which Marian's config has one a side; fovea builds both sides alike.
std::int64_t same(const Json& config, const char* encoder_key, const char* decoder_key, std::int64_t most) {
  const std::int64_t value = config.at(encoder_key).integer(1, most);
  const std::int64_t other = config.at(decoder_key).integer(1, most);
  if (other != value)
    config.at(decoder_key)
        .reject(std::to_string(other) + ", but " + encoder_key + " is " + std::to_string(value),
                "encoder and decoder must agree");
  return value;
}

constexpr std::string_view shared_embedding = "model.shared.weight";
constexpr std::string_view encoder_embedding = "model.encoder.embed_tokens.weight";
constexpr std::string_view decoder_embedding = "model.decoder.embed_tokens.weight";
constexpr std::string_view output_layer = "lm_head.weight";

// The tensor that `name` must repeat, as the config ties them: some writers store both. Empty: none.
std::string_view original_of(std::string_view name, const TransformerConfig& config) {
  const bool side = name == encoder_embedding || name == decoder_embedding;
  if (side && config.tie_source_target) return shared_embedding;
  if (name == output_layer && config.tie_output)
    return config.tie_source_target ? shared_embedding : decoder_embedding;
  return {};
}

// Stored by some writers beside what they repeat or what can be computed.
bool is_redundant(std::string_view name, const TransformerConfig& config) {
  if (name == "final_logits_bias") return true;  // read apart
  if (config.positions == Positions::sinusoidal &&
      (name == "model.encoder.embed_positions.weight" || name == "model.decoder.embed_positions.weight"))
    return true;
  return !original_of(name, config).empty();
}

// Throws if a tensor that the config ties to another is in the file with values of its own.
void expect_ties(const formats::Weights& file, const TransformerConfig& config) {
  for (const auto& name : file.names()) {
    const std::string_view original = original_of(name, config);
    if (original.empty()) continue;
    const Tensor stored = file.read(name), expected = file.read(original);
    if (stored.shape() == expected.shape() && std::ranges::equal(stored.values(), expected.values()))
      continue;
    throw Error(Error::Kind::model, file.name() + ": " + name,
                "differs from " + std::string(original) + ", but config.json says that they are one",
                "does config.json belong to these weights?");
  }
}

void expect_positions(const TransformerConfig& config) {
  constexpr double most = 1 << 28;
  if (static_cast<double>(config.max_positions) * static_cast<double>(config.width) > most)
    throw Error(Error::Kind::model, "config.json: max_position_embeddings",
                std::to_string(config.max_positions) + " positions of width " + std::to_string(config.width) +
                    " are too many");
}

}  // namespace

double parameter_count(const TransformerConfig& config) {
  const auto number = [](std::int64_t value) { return static_cast<double>(value); };
  const double D = number(config.width), F = number(config.feed_forward);
  const double K = number(config.heads) * number(config.d_k()),
               V = number(config.heads) * number(config.d_v());
  const double norm = 2 * D;
  const double attention = 2 * (D + 1) * K + (D + 1) * V + (V + 1) * D + norm;
  const double feed_forward = (D + 1) * F + (F + 1) * D + norm;
  const double stacks = number(config.encoder_layers) * (attention + feed_forward) +
                        number(config.decoder_layers) * (2 * attention + feed_forward);
  double rows = number(config.target_vocabulary);
  if (!config.tie_source_target) rows += number(config.source_vocabulary);
  if (!config.tie_output) rows += number(config.target_vocabulary);
  if (config.positions == Positions::learned) rows += 2 * number(config.max_positions);
  return rows * D + stacks + (config.norm == Norm::pre ? 2 * norm : 0);
}

std::string why_not_marian(const TransformerConfig& config) {
  if (config.norm != Norm::post) return "pre-norm layers";
  if (config.positions != Positions::sinusoidal) return "learned positions";
  if (config.d_k() * config.heads != config.width || config.d_v() * config.heads != config.width)
    return "heads that are not as wide as the model divided by their number";
  if (!config.tie_output) return "an output layer of its own";
  return "";
}

std::string config_json(const TransformerConfig& config, const GenerationDefaults& generation,
                        DType weights) {
  const bool marian = why_not_marian(config).empty();
  formats::JsonWriter json;
  json.begin_object();
  json.key("architectures").begin_array().value(marian ? "MarianMTModel" : "FoveaTransformer").end_array();
  json.field("model_type", marian ? "marian" : "fovea-transformer").field("is_encoder_decoder", true);
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
      .field("decoder_vocab_size", config.target_vocabulary)
      .field("scale_embedding", config.scale_embedding)
      .field("share_encoder_decoder_embeddings", config.tie_source_target)
      .field("tie_word_embeddings", config.tie_output);
  json.field("normalize_before", config.norm == Norm::pre)
      .field("normalize_embedding", false)
      .field("add_final_layer_norm", config.norm == Norm::pre)
      .field("static_position_embeddings", config.positions == Positions::sinusoidal);
  if (!marian) json.field("fovea_key_width", config.d_k()).field("fovea_value_width", config.d_v());
  json.field("dropout", config.dropout)
      .field("attention_dropout", config.attention_dropout)
      .field("activation_dropout", config.activation_dropout)
      .field("init_std", 1.0 / std::sqrt(static_cast<double>(config.width)));
  json.field("eos_token_id", config.eos)
      .field("unk_token_id", config.unk)
      .field("pad_token_id", config.pad)
      .field("bos_token_id", config.eos)
      .field("decoder_start_token_id", config.pad)
      .field("forced_eos_token_id", config.eos)
      .field("num_beams", generation.beam)
      .field("length_penalty", generation.length_penalty)
      .field("use_cache", true)
      .field("torch_dtype", weights == DType::bf16 ? "bfloat16" : "float32");
  return json.end_object().finish();
}

TransformerConfig read_config(const Json& config) {
  const auto type = config.at("model_type");
  if (type.text() != "marian" && type.text() != "fovea-transformer")
    type.reject("a model of type '" + printable(type.text()) + "'",
                "translation needs marian or fovea-transformer");
  TransformerConfig model;
  model.width = config.at("d_model").integer(1, 65536);
  model.encoder_layers = config.at("encoder_layers").integer(1, 1000);
  model.decoder_layers = config.at("decoder_layers").integer(1, 1000);
  model.heads = same(config, "encoder_attention_heads", "decoder_attention_heads", 1024);
  model.feed_forward = same(config, "encoder_ffn_dim", "decoder_ffn_dim", 1 << 20);
  model.activation = activation_of(config.at("activation_function"));
  model.max_positions = config.at("max_position_embeddings").integer(1, 1 << 20);
  model.source_vocabulary = config.at("vocab_size").integer(1, largest);
  model.target_vocabulary = config.integer_or("decoder_vocab_size", model.source_vocabulary, 1, largest);
  model.scale_embedding = config.boolean_or("scale_embedding", false);
  model.tie_source_target = config.boolean_or("share_encoder_decoder_embeddings", true);
  model.tie_output = config.boolean_or("tie_word_embeddings", true);
  model.norm = config.boolean_or("normalize_before", false) ? Norm::pre : Norm::post;
  model.positions =
      config.boolean_or("static_position_embeddings", true) ? Positions::sinusoidal : Positions::learned;
  model.key_width = config.integer_or("fovea_key_width", 0, 0, 4096);
  model.value_width = config.integer_or("fovea_value_width", 0, 0, 4096);
  model.dropout = share_of(config, "dropout");
  model.attention_dropout = share_of(config, "attention_dropout");
  model.activation_dropout = share_of(config, "activation_dropout");
  model.eos = token_id(config, "eos_token_id");
  model.pad = token_id(config, "pad_token_id");
  model.unk = static_cast<std::int32_t>(config.integer_or("unk_token_id", 1, 0, largest));
  expect_flag(config, "normalize_embedding", false);
  expect_flag(config, "add_final_layer_norm", model.norm == Norm::pre);
  if (token_id(config, "decoder_start_token_id") != model.pad)
    config.at("decoder_start_token_id").reject("differs from pad_token_id", "the decoder must start on pad");
  validate(model, Error::Kind::model, "config.json");
  expect_positions(model);
  return model;
}

formats::SafetensorsWriter weights_file(const Transformer& model, DType dtype,
                                        const std::map<std::string, std::string>& metadata) {
  formats::SafetensorsWriter file(metadata);
  add_parameters(file, model.parameters(), dtype);
  const Tensor& bias = model.output_bias();
  const std::int64_t V = model.config().target_vocabulary;
  file.add("final_logits_bias", bias.defined() ? bias.reshape({1, V}) : Tensor::zeros({1, V}),
           dtype == DType::bf16 ? dtype : DType::f32);
  return file;
}

void read_weights(const formats::Weights& file, Transformer& model) { model.read_weights(file); }

formats::SafetensorsWriter Transformer::weights_file(
    DType dtype, const std::map<std::string, std::string>& metadata) const {
  return models::weights_file(*this, dtype, metadata);
}

void Transformer::read_weights(const formats::Weights& file, const Packing* packing) {
  const auto redundant = [&](std::string_view name) { return is_redundant(name, config_); };
  packed_non_finite_ = read_parameters(file, parameters_, packing, {.is_redundant = redundant});
  expect_ties(file, config_);
  if (!file.has("final_logits_bias")) return;
  const Tensor bias = read_tensor(file, "final_logits_bias", {1, config_.target_vocabulary});
  if (std::ranges::any_of(bias.values(), [](float b) { return b != 0.0f; }))
    set_output_bias(bias.reshape({config_.target_vocabulary}));
}

std::unique_ptr<Transformer> load_transformer(const std::filesystem::path& directory) {
  return load_transformer(directory, directory);
}

std::unique_ptr<Transformer> load_transformer(const std::filesystem::path& described,
                                              const std::filesystem::path& weighed) {
  const auto weights =
      formats::Weights::open(weighed);  // first: it says best what a folder is that is no model's
  const auto config = read_config(formats::read_json(described / "config.json", Error::Kind::model));
  expect_size(weights, parameter_count(config));
  auto model = std::make_unique<Transformer>(config);
  read_weights(weights, *model);
  return model;
}

}  // namespace fovea::models
