#include "fovea/kernels/cpu/attention_plan.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <utility>

#include "fovea/kernels/cpu/attention_simd.h"
#include "fovea/kernels/cpu/functions.h"
#include "fovea/kernels/dropout.h"

#define FOVEA_BODY "fovea/kernels/cpu/attention.inl"
#include "fovea/kernels/cpu/for_each_isa.h"
