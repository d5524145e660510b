#pragma once

#include <string>
#include <string_view>

#include "fovea/models/transformer_folder.h"

/// MarianMT (Junczys-Dowmunt et al. 2018), OPUS-MT's models: the Transformer of the paper, post-norm, with
/// sinusoidal positions and a shift of the logits; and what fovea trains, wherever MarianMT can express it.
namespace fovea::models {

/// Whether `model_type` is marian or fovea-transformer.
bool is_marian(std::string_view model_type);

/// Whether MarianMT can hold this model, and if not, the first reason: "pre-norm", "learned positions", ...
std::string why_not_marian(const TransformerConfig& config);

/// config.json: MarianMT's keys; a model that MarianMT cannot hold is "fovea-transformer", with the same keys
/// and ours.
std::string marian_config_json(const TransformerConfig& config, const GenerationDefaults& generation,
                               DType weights);
/// Throws Error(model) naming file and key.
TransformerConfig read_marian_config(const formats::Json& config);

}  // namespace fovea::models
