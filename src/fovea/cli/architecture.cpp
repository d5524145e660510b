#include "fovea/cli/architecture.h"

#include "fovea/models/marian.h"

namespace fovea::cli {
namespace {

using ArchitectureLines = std::vector<std::pair<std::string, std::string>>;
using Transformer = models::TransformerConfig;

std::string ties_text(const Transformer& config) {
  if (config.tie_source_target && config.tie_output) return "source, target and output are one matrix";
  if (config.tie_source_target) return "source and target are one matrix";
  return config.tie_output ? "target and output are one matrix" : "source, target and output are separate";
}

ArchitectureLines lines_of(const Transformer& config) {
  const auto text = [](auto value) { return std::to_string(value); };
  return {{"architecture", "Transformer (Vaswani et al. 2017)"},
          {"layers", text(config.encoder_layers) + " encoder, " + text(config.decoder_layers) + " decoder"},
          {"width", text(config.width) + ", feed-forward " + text(config.feed_forward) + " (" +
                        std::string(models::activation_name(config.activation)) + ")"},
          {"heads", text(config.heads) + ", keys " + text(config.d_k()) + " and values " +
                        text(config.d_v()) + " wide"},
          {"norm", config.norm == Transformer::Norm::pre ? "before each sublayer" : "after each sublayer"},
          {"positions", (config.positions == Transformer::Positions::learned ? "learned, at most "
                                                                             : "sinusoidal, at most ") +
                            text(config.max_positions)},
          {"embeddings", ties_text(config) + (config.scale_embedding ? ", times sqrt(width)" : "")}};
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
      .field("positions", config.positions == Transformer::Positions::learned ? "learned" : "sinusoidal")
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
