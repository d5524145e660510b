#pragma once

#include "fovea/tensor/tensor.h"

namespace fovea::attention {

/// Sinusoidal positions, [positions, width]: row p is sin(p / 10000^(2i/width)) for i = 0 .. width/2 - 1,
/// then the cosines: the order of tensor2tensor and of Hugging Face's MarianMT. Vaswani et al. 2017,
/// section 3.5, interleaves the two; a model cannot tell. An odd width has one more sine than cosines.
Tensor sinusoidal_positions(std::int64_t positions, std::int64_t width);

}  // namespace fovea::attention
