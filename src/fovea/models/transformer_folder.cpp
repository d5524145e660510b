#include "fovea/models/transformer_folder.h"

#include <algorithm>
#include <utility>

#include "fovea/formats/adapter.h"
#include "fovea/models/bart.h"
#include "fovea/models/m2m100.h"
#include "fovea/models/marian.h"
#include "fovea/models/t5.h"
#include "fovea/models/transformer_names.h"
#include "fovea/models/weights_on_disk.h"

namespace fovea::models {
namespace {

using Family = TransformerConfig::Family;
using Norm = TransformerConfig::Norm;
using Positions = TransformerConfig::Positions;

constexpr std::string_view output_bias_name = "final_logits_bias";

// The tensor that `name` must repeat, as the config ties them: some writers store both. Empty: none.
std::string original_of(std::string_view name, const TransformerConfig& config) {
  const std::string decoder = stack_names(config, Stack::decoder).embedding;
  const bool side = name == stack_names(config, Stack::encoder).embedding || name == decoder;
  if (side && config.tie_source_target) return shared_embedding_name(config);
  if (name == output_name() && config.tie_output)
    return config.tie_source_target ? shared_embedding_name(config) : decoder;
  return {};
}

// Stored by some writers beside what they repeat or what can be computed.
bool is_redundant(std::string_view name, const TransformerConfig& config) {
  if (has_output_bias(config) && name == output_bias_name) return true;  // read apart
  if (config.positions != Positions::learned &&
      (name.ends_with(".embed_positions.weight") || name.ends_with(".embed_positions.weights")))
    return true;
  if (name == "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight") return true;
  return !original_of(name, config).empty();
}

// Throws if a tensor that the config ties to another is in the file with values of its own.
void expect_ties(const formats::Weights& file, const TransformerConfig& config) {
  for (const auto& name : file.names()) {
    const std::string original = original_of(name, config);
    if (original.empty()) continue;
    const Tensor stored = file.read(name), expected = file.read(original);
    if (stored.shape() == expected.shape() && std::ranges::equal(stored.values(), expected.values()))
      continue;
    throw Error(Error::Kind::model, file.name() + ": " + name,
                "differs from " + original + ", but config.json says that they are one",
                "does config.json belong to these weights?");
  }
}

// Tables of sines are made whole.
void expect_positions(const TransformerConfig& config) {
  constexpr double most = 1 << 28;
  if (config.positions != Positions::relative &&
      static_cast<double>(config.max_positions) * static_cast<double>(config.width) > most)
    throw Error(Error::Kind::model, "config.json: max_position_embeddings",
                std::to_string(config.max_positions) + " positions of width " + std::to_string(config.width) +
                    " are too many");
}

TransformerConfig read_family(const formats::Json& config) {
  const auto type = config.at("model_type");
  if (is_marian(type.text())) return read_marian_config(config);
  if (is_bart(type.text())) return read_bart_config(config);
  if (is_m2m100(type.text())) return read_m2m100_config(config);
  if (is_t5(type.text())) return read_t5_config(config);
  type.reject("a model of type '" + printable(type.text()) + "'",
              "encoder-decoders are marian, bart, mbart, pegasus, m2m_100 (NLLB), t5, mt5, fovea-transformer "
              "and fovea-recurrent");
}

}  // namespace

double parameter_count(const TransformerConfig& config) {
  const auto number = [](std::int64_t value) { return static_cast<double>(value); };
  const double D = number(config.width), F = number(config.feed_forward), b = config.biases ? 1 : 0;
  const double K = number(config.heads) * number(config.d_k()),
               V = number(config.heads) * number(config.d_v());
  const double norm = config.norm_kind == TransformerConfig::NormKind::layer ? 2 * D : D;
  const double attention = 2 * (D + b) * K + (D + b) * V + (V + b) * D + norm;
  const double feed_forward = (config.gated ? 2 : 1) * (D + b) * F + (F + b) * D + norm;
  const double stacks = number(config.encoder_layers) * (attention + feed_forward) +
                        number(config.decoder_layers) * (2 * attention + feed_forward);
  double rows = number(config.target_vocabulary);
  if (!config.tie_source_target) rows += number(config.source_vocabulary);
  if (!config.tie_output) rows += number(config.target_vocabulary);
  if (config.positions == Positions::learned)
    rows += 2 * (number(config.max_positions) + number(config.position_offset));
  double ends = (config.norm == Norm::pre ? 2 * norm : 0) + (config.embedding_norm ? 2 * norm : 0);
  if (config.positions == Positions::relative)
    ends += 2 * number(config.distance_buckets) * number(config.heads);
  return rows * D + stacks + ends;
}

std::string config_json(const TransformerConfig& config, const GenerationDefaults& generation,
                        DType weights) {
  switch (config.family) {
    case Family::marian:
      break;
    case Family::bart:
    case Family::mbart:
    case Family::pegasus:
      return bart_config_json(config, weights);
    case Family::m2m100:
      return m2m100_config_json(config, weights);
    case Family::t5:
    case Family::mt5:
      return t5_config_json(config, weights);
  }
  return marian_config_json(config, generation, weights);
}

TransformerConfig read_config(const formats::Json& config) {
  const TransformerConfig model = read_family(config);
  validate(model, Error::Kind::model, "config.json");
  expect_positions(model);
  return model;
}

TransformerConfig agreed(TransformerConfig config, const formats::Weights& weights) {
  const bool t5 = config.family == Family::t5 || config.family == Family::mt5;
  if (t5 && weights.has(output_name())) config.tie_output = false;
  const bool pegasus = config.family == Family::pegasus;
  if (pegasus && !weights.has(stack_names(config, Stack::encoder).positions))
    config.positions = Positions::sinusoidal;
  return config;
}

formats::SafetensorsWriter weights_file(const Transformer& model, DType dtype,
                                        const std::map<std::string, std::string>& metadata) {
  formats::SafetensorsWriter file(metadata);
  add_parameters(file, model.parameters(), dtype);
  if (!has_output_bias(model.config())) return file;
  const Tensor& bias = model.output_bias();
  const std::int64_t V = model.config().target_vocabulary;
  file.add(std::string(output_bias_name), bias.defined() ? bias.reshape({1, V}) : Tensor::zeros({1, V}),
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
  if (!has_output_bias(config_) || !file.has(output_bias_name)) return;
  const Tensor bias = read_tensor(file, std::string(output_bias_name), {1, config_.target_vocabulary});
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
  const auto config = agreed(read_config(formats::read_config_of(described)), weights);
  expect_size(weights, parameter_count(config));
  auto model = std::make_unique<Transformer>(config);
  read_weights(weights, *model);
  return model;
}

}  // namespace fovea::models
