#pragma once

#include "fovea/kernels/gemm.h"

namespace fovea::kernels::reference {

/// kernels::gemm as its formula, summed in double.
void gemm(const GemmExtents& extents, const float* A, const float* B, float* C, const GemmEpilogue& epilogue);

/// One activation, in double.

}  // namespace fovea::kernels::reference
