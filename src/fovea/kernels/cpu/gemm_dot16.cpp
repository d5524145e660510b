// Products of matrices in pairs of bf16 (vdpbf16ps: 32 products into 16 sums in f32).

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "fovea/kernels/cpu/functions.h"
#include "fovea/kernels/cpu/gemm.h"
#include "fovea/kernels/cpu/simd.h"
#include "fovea/kernels/cpu/targets.h"

FOVEA_TARGET_DOT16

#define FOVEA_GEMM_UNITS "fovea/kernels/cpu/gemm_units_bf16.inl"
namespace fovea::kernels::cpu::avx512_dot16 {
using namespace avx512;
#include "fovea/kernels/cpu/gemm.inl"
}  // namespace fovea::kernels::cpu::avx512_dot16

FOVEA_TARGET_END
