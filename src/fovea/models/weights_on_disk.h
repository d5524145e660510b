#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/formats/weights.h"
#include "fovea/models/translation_model.h"
#include "fovea/nn/parameters.h"

namespace fovea::models {

/// Fills `parameters` from a file that has a tensor for each of their names. Throws Error(model) listing
/// missing and unknown tensors (up to ten of each; those that `is_redundant` may be there), or naming the
/// tensor whose shape disagrees and both shapes.
void read_parameters(const formats::Weights& file, const nn::Parameters& parameters,
                     const std::function<bool(std::string_view name)>& is_redundant = {});

/// The same for a model that only answers: each tensor is packed as soon as it is read. Gives the names of
/// those that hold NaN or infinities.
std::vector<std::string> read_packed_parameters(
    const formats::Weights& file, nn::Parameters& parameters, const Packing& packing,
    const std::function<bool(std::string_view name)>& is_redundant = {});

/// Adds the parameters under their names, as `dtype`: f32, bf16, or i8. As i8 what multiplies or is looked up
/// is stored as integers with a scale a row, w = scale * q, max |w| / 127, in a second tensor: NAME I8 [out,
/// in] and NAME_scale F32 [out]; all else stays f32.
void add_parameters(formats::SafetensorsWriter& file, const nn::Parameters& parameters, DType dtype);

/// The narrowest type in which the file stores tensors: i8, bf16, or f32 (for any other).
DType stored_as(const formats::Weights& file);

/// The tensor of that name as f32, by its scales if it is I8; Error(model) if its shape is another.
Tensor read_tensor(const formats::Weights& file, const std::string& name, const Shape& shape);

/// A config.json may ask for any amount of memory; the weights beside it say what is meant. Throws
/// Error(model) if it describes a model of far more parameters than the file holds, before that memory is
/// asked for.
void expect_size(const formats::Weights& file, double parameters);

}  // namespace fovea::models
