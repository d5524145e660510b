#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

#include "fovea/kernels/cpu/attention_bf16_plan.h"
#include "fovea/kernels/cpu/attention_simd.h"
#include "fovea/kernels/cpu/functions.h"
#include "fovea/kernels/dropout.h"

#if defined(__clang__)
#pragma clang attribute push( \
    __attribute__((target("avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512bf16"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")
#endif

#define FOVEA_ATTENTION_UNITS "fovea/kernels/cpu/attention_bf16_pairs.inl"
namespace fovea::kernels::cpu::avx512_dot16 {
using namespace avx512;
#include "fovea/kernels/cpu/attention_bf16.inl"
}  // namespace fovea::kernels::cpu::avx512_dot16

FOVEA_TARGET_END
