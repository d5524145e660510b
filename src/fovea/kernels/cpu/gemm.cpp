#include "fovea/kernels/cpu/gemm.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "fovea/kernels/cpu/functions.h"
#include "fovea/kernels/cpu/simd.h"

#define FOVEA_GEMM_UNITS "fovea/kernels/cpu/gemm_units_f32.inl"
#define FOVEA_BODY "fovea/kernels/cpu/gemm.inl"
#include "fovea/kernels/cpu/for_each_isa.h"

namespace fovea::kernels::cpu {

std::int64_t second_cache_bytes() {
  static const std::int64_t bytes = [] {
    const auto said = static_cast<std::int64_t>(::sysconf(_SC_LEVEL2_CACHE_SIZE));
    return said > 0 ? std::clamp<std::int64_t>(said, 1 << 18, 1 << 22) : std::int64_t{1} << 20;
  }();
  return bytes;
}

}  // namespace fovea::kernels::cpu
