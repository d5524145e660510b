#include "fovea/kernels/cpu/recurrent_rows.h"

#include "fovea/kernels/cpu/functions.h"
#include "fovea/kernels/cpu/loops.h"

#define FOVEA_BODY "fovea/kernels/cpu/recurrent.inl"
#include "fovea/kernels/cpu/for_each_isa.h"

namespace fovea::kernels {

// The functions that the body of a set has.
#define FOVEA_ROWS(set, lstm)                                                                           \
  RecurrentRows {                                                                                       \
    (lstm) ? &set::lstm_row : &set::gru_row, (lstm) ? &set::lstm_row_backward : &set::gru_row_backward, \
        &set::add_to_row, &set::multiply_row                                                            \
  }

RecurrentRows recurrent_rows(KernelSet set, Recurrence cell) {
  const bool lstm = cell == Recurrence::lstm;
  switch (set) {
    case KernelSet::reference:
      return {lstm ? &reference::lstm_row<float> : &reference::gru_row<float>,
              lstm ? &reference::lstm_row_backward<float> : &reference::gru_row_backward<float>,
              &cpu::plain::add_to_row, &cpu::plain::multiply_row};
    case KernelSet::plain:
      return FOVEA_ROWS(cpu::plain, lstm);
    case KernelSet::avx2:
      return FOVEA_ROWS(cpu::avx2, lstm);
    case KernelSet::avx512:
      break;
  }
  return FOVEA_ROWS(cpu::avx512, lstm);
}
#undef FOVEA_ROWS

}  // namespace fovea::kernels
