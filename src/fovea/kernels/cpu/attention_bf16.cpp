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

#define FOVEA_ATTENTION_UNITS "fovea/kernels/cpu/attention_bf16_widened.inl"
#define FOVEA_BODY "fovea/kernels/cpu/attention_bf16.inl"
#include "fovea/kernels/cpu/for_each_isa.h"
#undef FOVEA_ATTENTION_UNITS
