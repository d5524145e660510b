#pragma once

#include <string_view>

#include "fovea/formats/json.h"
#include "fovea/kernels/activation.h"

namespace fovea::models {

/// What a config.json calls an activation: the first of its names.
std::string_view activation_name(kernels::Activation activation);

/// The activation that a value of config.json names. Throws Error(model) listing the names there are.
kernels::Activation activation_of(const formats::Json& value);

}  // namespace fovea::models
