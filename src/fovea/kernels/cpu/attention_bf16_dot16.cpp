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
#include "fovea/kernels/cpu/targets.h"
#include "fovea/kernels/dropout.h"

FOVEA_TARGET_DOT16

#define FOVEA_ATTENTION_UNITS "fovea/kernels/cpu/attention_bf16_pairs.inl"
namespace fovea::kernels::cpu::avx512_dot16 {
using namespace avx512;
#include "fovea/kernels/cpu/attention_bf16.inl"
}  // namespace fovea::kernels::cpu::avx512_dot16

FOVEA_TARGET_END
