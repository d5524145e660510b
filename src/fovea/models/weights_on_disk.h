#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/formats/weights.h"
#include "fovea/models/model.h"
#include "fovea/nn/parameters.h"

namespace fovea::models {

/// How the tensors of a file are named where that is not as their parameters are.
struct FileNames {
  /// Tensors that may be there and are not read.
  std::function<bool(std::string_view name)> is_redundant = {};
  /// What all names of the file leave out at their beginning, as "transformer." where a GPT-2 was saved
  /// without its output layer.
  std::string left_out = {};
  /// Another spelling of a name, as files of old have for some.
  std::function<std::string(std::string name)> spelled = {};
  /// Parameters that keep their beginning, whatever the file holds.
  std::function<bool(std::string_view parameter)> begins_anew = {};

  std::string of(const std::string& parameter) const;
};

/// Fills `parameters` from a file that has a tensor for each of their names. With a packing, for a model that
/// only answers, each tensor is packed as soon as it is read, or all of them were before
/// (models/packed_weights.h); without, parameters that were not allocated are
/// held (nn::Parameters::hold). Throws Error(model) listing missing and unknown
/// tensors (up to ten of each), or naming the tensor whose shape disagrees and both shapes. Gives the names
/// of those that were packed and hold NaN or infinities.
std::vector<std::string> read_parameters(const formats::Weights& file, nn::Parameters& parameters,
                                         const Packing* packing = nullptr, const FileNames& names = {});

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
