#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/formats/json_events.h"
#include "fovea/formats/safetensors.h"

namespace fovea::formats {

/// The JSON of a safetensors header as it is written: the types of all values checked, nothing else.
struct SafetensorsHeader {
  std::vector<TensorInfo> tensors;  ///< in the order of the file
  std::map<std::string, std::string> metadata;
};

/// Throws Error(source.kind): not JSON, or JSON of another form; a key given twice; a limit passed. The
/// memory taken is bounded by a small multiple of the text.
SafetensorsHeader parse_safetensors_header(std::string_view text, const JsonSource& source,
                                           const SafetensorsLimits& limits);

}  // namespace fovea::formats
