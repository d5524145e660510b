#pragma once

#include "fovea/attention/rotary.h"
#include "fovea/formats/json.h"
#include "fovea/formats/json_writer.h"

/// Rotary positions in a config.json.
namespace fovea::models {

/// What `rope_parameters` says (transformers 5), or `rope_theta` and `rope_scaling` (before), for heads of
/// `head_width`. Throws Error(model) naming the key that is missing or out of range.
attention::RotarySettings read_rotary(const formats::Json& config, std::int64_t head_width);

/// `rope_theta` and, where there is a scaling, `rope_scaling`: what every version of transformers reads.
void write_rotary(formats::JsonWriter& json, const attention::RotarySettings& settings);

}  // namespace fovea::models
