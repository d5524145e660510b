#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

namespace fovea::text {

/// Parses the JSON of a tokenizer file: valid UTF-8, no key twice, at most 64 MB, no deeper than 32.
/// Throws Error(model) naming `where`. For the .cpp files of this floor only.
nlohmann::json parse_json(std::string_view text, std::string_view where);

}  // namespace fovea::text
