#pragma once

#include <string_view>

#include "fovea/formats/json.h"
#include "fovea/formats/json_writer.h"
#include "fovea/models/transformer.h"

/// What config.json says alike of Marian, BART, Pegasus and M2M100, whose makers all took fairseq's words.
namespace fovea::models {

/// Sizes, activation, dropouts and vocab_size of both sides; scale_embedding. Throws Error(model) naming the
/// key; where encoder and decoder have keys of their own for what is built alike here, they must agree.
void read_fairseq_keys(const formats::Json& config, TransformerConfig& model);
void write_fairseq_keys(formats::JsonWriter& json, const TransformerConfig& config);

/// eos_token_id and the like: the first, if there are several, or `otherwise` if there is none.
std::int32_t token_or(const formats::Json& config, std::string_view key, std::int32_t otherwise);

/// The special tokens of all but Marian: those of `model` where the file has none.
void read_special_tokens(const formats::Json& config, TransformerConfig& model);
void write_special_tokens(formats::JsonWriter& json, const TransformerConfig& config);

/// architectures, model_type and is_encoder_decoder; and the type of the weights.
void write_model_type(formats::JsonWriter& json, std::string_view architecture, std::string_view model_type);
void write_weights_type(formats::JsonWriter& json, DType weights);

}  // namespace fovea::models
