#include "fovea/cli/architecture.h"

#include "fovea/models/activation_names.h"
#include "fovea/models/marian.h"

namespace fovea::cli {
namespace {

using ArchitectureLines = std::vector<std::pair<std::string, std::string>>;
using Transformer = models::TransformerConfig;
using Recurrent = models::RecurrentConfig;

template <class Config>
std::string ties_text(const Config& config) {
  if (config.tie_source_target && config.tie_output) return "source, target and output are one matrix";
  if (config.tie_source_target) return "source and target are one matrix";
  return config.tie_output ? "target and output are one matrix" : "source, target and output are separate";
}

std::string_view position_name(Transformer::Positions positions) {
  switch (positions) {
    case Transformer::Positions::learned:
      return "learned";
    case Transformer::Positions::relative:
      return "relative";
    case Transformer::Positions::sinusoidal:
    case Transformer::Positions::fairseq:
      break;
  }
  return "sinusoidal";
}

std::string_view paper_of(Transformer::Family family) {
  using Family = Transformer::Family;
  switch (family) {
    case Family::bart:
      return "BART (Lewis et al. 2020)";
    case Family::mbart:
      return "mBART (Liu et al. 2020)";
    case Family::pegasus:
      return "Pegasus (Zhang et al. 2020)";
    case Family::m2m100:
      return "M2M100 (Fan et al. 2020)";
    case Family::t5:
    case Family::mt5:
      return "T5 (Raffel et al. 2020)";
    case Family::marian:
      break;
  }
  return "Transformer (Vaswani et al. 2017)";
}

ArchitectureLines lines_of(const Transformer& config) {
  const auto text = [](auto value) { return std::to_string(value); };
  const bool relative = config.positions == Transformer::Positions::relative;
  return {{"architecture", std::string(paper_of(config.family))},
          {"layers", text(config.encoder_layers) + " encoder, " + text(config.decoder_layers) + " decoder"},
          {"width", text(config.width) + ", feed-forward " + text(config.feed_forward) + " (" +
                        std::string(models::activation_name(config.activation)) + ")"},
          {"heads", text(config.heads) + ", keys " + text(config.d_k()) + " and values " +
                        text(config.d_v()) + " wide"},
          {"norm", config.norm == Transformer::Norm::pre ? "before each sublayer" : "after each sublayer"},
          {"positions", std::string(position_name(config.positions)) +
                            (relative ? ", of any number" : ", at most " + text(config.max_positions))},
          {"embeddings", ties_text(config) + (config.scale_embedding ? ", times sqrt(width)" : "")}};
}

std::string looking_text(const Recurrent& config) {
  if (!config.attends()) return "none: a fixed context vector";
  std::string text = config.score + ", " + std::string(attention::name_of(config.normaliser));
  if (config.window != Recurrent::Window::global)
    text += ", " + std::string(name_of(config.window)) + " within " + std::to_string(config.reach);
  if (config.attention_heads > 1) text += ", " + std::to_string(config.attention_heads) + " heads";
  if (config.coverage) text += ", coverage";
  if (config.copy) text += ", copied from";
  return text;
}

ArchitectureLines lines_of(const Recurrent& config) {
  const auto text = [](auto value) { return std::to_string(value); };
  const std::string cell(models::name_of(config.cell));
  return {
      {"architecture", "recurrent encoder-decoder (Bahdanau et al. 2015; Luong et al. 2015)"},
      {"layers", text(config.encoder_layers) + (config.bidirectional ? " bidirectional " : " ") + cell +
                     " encoder, " + text(config.decoder_layers) + " " + cell + " decoder"},
      {"width", text(config.width) + ", embeddings " + text(config.embedding)},
      {"attention", looking_text(config)},
      {"order", std::string(models::name_of(config.order)) + (config.input_feeding ? ", input feeding" : "")},
      {"start", std::string(models::name_of(config.start))},
      {"positions", "at most " + text(config.max_positions)},
      {"embeddings", ties_text(config)}};
}

void write(formats::JsonWriter& json, const Recurrent& config) {
  json.field("architecture", "recurrent")
      .field("cell", models::name_of(config.cell))
      .field("encoder_layers", config.encoder_layers)
      .field("decoder_layers", config.decoder_layers)
      .field("bidirectional", config.bidirectional)
      .field("width", config.width)
      .field("embedding", config.embedding)
      .field("attention", config.score)
      .field("attention_width", config.attention_width)
      .field("attention_heads", config.attention_heads)
      .field("normaliser", attention::name_of(config.normaliser))
      .field("window", models::name_of(config.window))
      .field("reach", config.reach)
      .field("order", models::name_of(config.order))
      .field("input_feeding", config.input_feeding)
      .field("coverage", config.coverage)
      .field("copy", config.copy)
      .field("decoder_start", models::name_of(config.start))
      .field("max_positions", config.max_positions)
      .field("tie_source_target", config.tie_source_target)
      .field("tie_output", config.tie_output);
}

void write(formats::JsonWriter& json, const Transformer& config) {
  json.field("architecture", "transformer")
      .field("encoder_layers", config.encoder_layers)
      .field("decoder_layers", config.decoder_layers)
      .field("width", config.width)
      .field("feed_forward", config.feed_forward)
      .field("activation", models::activation_name(config.activation))
      .field("heads", config.heads)
      .field("key_width", config.d_k())
      .field("value_width", config.d_v())
      .field("norm", config.norm == Transformer::Norm::pre ? "pre" : "post")
      .field("positions", position_name(config.positions))
      .field("max_positions", config.max_positions)
      .field("tie_source_target", config.tie_source_target)
      .field("tie_output", config.tie_output)
      .field("scale_embedding", config.scale_embedding);
}

}  // namespace

ArchitectureLines architecture_lines(const models::TranslationConfig& config) {
  return std::visit([](const auto& family) { return lines_of(family); }, config);
}

void write_architecture(formats::JsonWriter& json, const models::TranslationConfig& config) {
  std::visit([&](const auto& family) { write(json, family); }, config);
  const auto vocabulary = models::vocabulary_of(config);
  json.field("source_vocabulary", vocabulary.source).field("target_vocabulary", vocabulary.target);
}

}  // namespace fovea::cli
