#pragma once

#include "fovea/kernels/reference/recurrent.h"

namespace fovea::kernels {

/// What recurrent layers do with one row, of one kernel set and cell.
struct RecurrentRows {
  void (*cell)(const CellRow<float>&);
  void (*cell_backward)(const CellRowGradient<float>&);
  void (*add)(std::int64_t H, const float* x, float* y);  ///< y += x
  void (*multiply)(std::int64_t H, const float* x, const float* by,
                   float* y);  ///< y = x * by; in place allowed
};
RecurrentRows recurrent_rows(KernelSet set, Recurrence cell);

}  // namespace fovea::kernels
