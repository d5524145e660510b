#pragma once

#include <filesystem>

#include "fovea/formats/weights.h"
#include "fovea/models/model.h"
#include "fovea/nn/parameters.h"

/// Weights as the kernels read them, in a file of their own beside those of a model: mapped into memory and
/// used where they lie. A model starts in the time it takes to page them in, and processes share them.
///
/// The file is of the safetensors layout, each tensor at a multiple of 64 bytes. A parameter NAME (with
/// parts: the first one's name and how many follow, "...q_proj.weight+2") has
///   NAME.packed   I8  [kernels::packed_linear_bytes]   if it is packed as that type
///   NAME          F32 [elements, up to a multiple of 16, zeros behind them]   if its values are needed
/// Its metadata say for which type and, of f32, which kernels it is, and what it was made of.
namespace fovea::models {

/// What the file for `dtype` is called in a model's folder: packed-f32.safetensors, ...
std::filesystem::path packed_name(DType dtype);

/// How a model's folder stands with such a file.
enum class PackedState {
  none,      ///< there is none
  current,   ///< it is used
  outdated,  ///< made of other weights than those beside it, by another layout, or for other kernels
};
/// Whether files are those that it was made of is seen by their sizes and times; by their bytes where times
/// differ, as after copying. Throws Error(model) naming a file that is damaged.
PackedState packed_state(const formats::Weights& weights, const Packing& packing);

/// Binds `parameters` to the file, if there is a current one that has all of them; false: nothing was done.
/// Throws Error(model) as packed_state(), or naming the tensor whose size or scales are wrong.
bool bind_packed(const formats::Weights& weights, const Packing& packing, nn::Parameters& parameters);

/// Removes such files of every type, so that the weights themselves are read.
void remove_packed(const formats::Weights& weights);

/// Writes the file for the type in which `model`, loaded from `weights` to answer, holds its weights.
/// Returns its path. Throws Error(model) if weights are NaN or infinite.
std::filesystem::path save_packed(const formats::Weights& weights, const kernels::Execution& exec,
                                  const Model& model);

}  // namespace fovea::models
