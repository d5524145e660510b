#pragma once

#include "fovea/kernels/gemm.h"
#include "fovea/tensor/tensor.h"

namespace fovea::ops {

/// A weight W [out, in] as the right operand of several products, packed once: products that each pack it
/// for themselves spend a tenth of their time on that when they have a few hundred rows, and on more threads
/// more, since each thread packs what it needs. Results are the same bits. It stands for W as it was.
struct PackedWeight {
  Tensor memory;  ///< of `matrix`; goes back to where tensors take theirs from
  kernels::PackedMatrix matrix;

  /// For x W^T.
  static PackedWeight forward(const kernels::Execution& exec, const Tensor& W);
  /// For d_y W.
  static PackedWeight backward(const kernels::Execution& exec, const Tensor& W);
};

}  // namespace fovea::ops
