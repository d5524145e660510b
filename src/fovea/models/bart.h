#pragma once

#include <string>
#include <string_view>

#include "fovea/formats/json.h"
#include "fovea/models/transformer.h"

/// BART (Lewis et al. 2020), mBART (Liu et al. 2020) and Pegasus (Zhang et al. 2020) as options of the
/// Transformer. All three read noised or gapped text and write it whole, and differ where the papers did not
/// care:
///            norm            of embeddings   positions               decoder starts on
///   bart     after sublayer  yes             learned, two rows late  </s>
///   mbart    before, at end  yes             learned, two rows late  the language (25) or </s> (50)
///   pegasus  before, at end  no              sinusoidal, stored      <pad>
/// (The table of learned positions begins with two rows that no token has: fairseq kept them for padding.)
namespace fovea::models {

/// Whether `model_type` is one of these.
bool is_bart(std::string_view model_type);

/// config.json as BartForConditionalGeneration and its kin read it.
std::string bart_config_json(const TransformerConfig& config, DType weights);
/// Throws Error(model) naming file and key.
TransformerConfig read_bart_config(const formats::Json& config);

}  // namespace fovea::models
