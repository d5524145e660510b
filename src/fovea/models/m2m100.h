#pragma once

#include <string>
#include <string_view>

#include "fovea/formats/json.h"
#include "fovea/models/transformer.h"

/// M2M100 (Fan et al. 2020) and NLLB (NLLB team 2022): one model from any of its languages into any. A
/// pre-norm Transformer with relu and embeddings times sqrt(width). Its positions are fairseq's: sines whose
/// rows begin two on, behind that of padding, and are not stored. The source begins with the token of its
/// language, and so does the translation: the decoder starts on </s> and is made to say the language wanted.
namespace fovea::models {

bool is_m2m100(std::string_view model_type);

/// config.json as M2M100ForConditionalGeneration reads it.
std::string m2m100_config_json(const TransformerConfig& config, DType weights);
/// Throws Error(model) naming file and key.
TransformerConfig read_m2m100_config(const formats::Json& config);

}  // namespace fovea::models
