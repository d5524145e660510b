#pragma once

#include <string>
#include <utility>
#include <vector>

#include "fovea/formats/json_writer.h"
#include "fovea/models/any_model.h"

namespace fovea::cli {

/// What a model is made of, for people: a name and a value each.
std::vector<std::pair<std::string, std::string>> architecture_lines(const models::AnyConfig& config);

/// The same for programs: fields of the object that is open in `json`.
void write_architecture(formats::JsonWriter& json, const models::AnyConfig& config);

}  // namespace fovea::cli
