// Products of matrices in pairs of bf16 (vdpbf16ps: 32 products into 16 sums in f32).

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "fovea/kernels/cpu/functions.h"
#include "fovea/kernels/cpu/gemm.h"
#include "fovea/kernels/cpu/simd.h"

#if defined(__clang__)
#pragma clang attribute push( \
    __attribute__((target("avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512bf16"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")
#endif

#define FOVEA_GEMM_UNITS "fovea/kernels/cpu/gemm_units_bf16.inl"
namespace fovea::kernels::cpu::avx512_dot16 {
using namespace avx512;
#include "fovea/kernels/cpu/gemm.inl"
}  // namespace fovea::kernels::cpu::avx512_dot16

FOVEA_TARGET_END
