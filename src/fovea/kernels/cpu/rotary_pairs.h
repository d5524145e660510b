#pragma once

#include "fovea/kernels/cpu/simd.h"

/// Adds to each namespace of simd.h
///   swap_pairs(v)   lanes (0, 1), (2, 3), ... exchanged

namespace fovea::kernels::cpu::plain {
inline Floats swap_pairs(Floats v) {
  for (int i = 0; i < width; i += 2) std::swap(v.lane[i], v.lane[i + 1]);
  return v;
}
}  // namespace fovea::kernels::cpu::plain

FOVEA_TARGET_AVX2
namespace fovea::kernels::cpu::avx2 {
inline Floats swap_pairs(Floats a) { return {_mm256_permute_ps(a.v, 0xB1)}; }
}  // namespace fovea::kernels::cpu::avx2
FOVEA_TARGET_END

FOVEA_TARGET_AVX512
namespace fovea::kernels::cpu::avx512 {
inline Floats swap_pairs(Floats a) { return {_mm512_permute_ps(a.v, 0xB1)}; }
}  // namespace fovea::kernels::cpu::avx512
FOVEA_TARGET_END
