#pragma once

#include <string>
#include <string_view>

#include "fovea/formats/json.h"
#include "fovea/models/transformer.h"

/// T5 (Raffel et al. 2020), Flan-T5 and mT5: every task is text to text. What it changed of the Transformer,
/// section 2.1:
///   norm       before each sublayer and at the end of a stack, RMS alone: y = x / sqrt(mean x^2 + eps) gamma
///   positions  none are added; scores of self-attention have a learned bias for each head and bucket of
///              distances, that of the first layer serving the whole stack
///   scores     q . k, not divided by sqrt(d_k) (the initial weights were), heads of any width
///   products   without biases; since version 1.1 feed-forward layers are gated: (gelu(x W_0) * x W_1) W_o
///   output     the embedding, states over sqrt(d_model); since 1.1 a matrix of its own, states as they are
/// The decoder starts on <pad>. No length is too long for the positions.
namespace fovea::models {

/// Whether `model_type` is t5 or mt5.
bool is_t5(std::string_view model_type);

/// config.json as T5ForConditionalGeneration reads it.
std::string t5_config_json(const TransformerConfig& config, DType weights);
/// Throws Error(model) naming file and key.
TransformerConfig read_t5_config(const formats::Json& config);

}  // namespace fovea::models
