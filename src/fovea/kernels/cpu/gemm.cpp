#include "fovea/kernels/cpu/gemm.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "fovea/kernels/cpu/functions.h"
#include "fovea/kernels/cpu/simd.h"

#define FOVEA_GEMM_UNITS "fovea/kernels/cpu/gemm_units_f32.inl"
#define FOVEA_BODY "fovea/kernels/cpu/gemm.inl"
#include "fovea/kernels/cpu/for_each_isa.h"
