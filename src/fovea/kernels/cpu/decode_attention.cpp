#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

#include "fovea/kernels/cpu/attention_simd.h"
#include "fovea/kernels/cpu/decode_attention_plan.h"
#include "fovea/kernels/cpu/functions.h"

#define FOVEA_BODY "fovea/kernels/cpu/decode_attention.inl"
#include "fovea/kernels/cpu/for_each_isa.h"
