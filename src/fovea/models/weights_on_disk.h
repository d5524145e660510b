#pragma once

#include <functional>
#include <string_view>

#include "fovea/formats/weights.h"
#include "fovea/nn/parameters.h"

namespace fovea::models {

/// Fills `parameters` from a file that has a tensor for each of their names. Throws Error(model) listing
/// missing and unknown tensors (up to ten of each; those that `is_redundant` may be there), or naming the
/// tensor whose shape disagrees and both shapes.
void read_parameters(const formats::Weights& file, const nn::Parameters& parameters,
                     const std::function<bool(std::string_view name)>& is_redundant = {});

/// The tensor of that name; Error(model) if its shape is another.
Tensor read_tensor(const formats::Weights& file, const std::string& name, const Shape& shape);

/// A config.json may ask for any amount of memory; the weights beside it say what is meant. Throws
/// Error(model) if it describes a model of far more parameters than the file holds, before that memory is
/// asked for.
void expect_size(const formats::Weights& file, double parameters);

}  // namespace fovea::models
