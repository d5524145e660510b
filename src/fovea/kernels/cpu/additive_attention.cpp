#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "fovea/kernels/cpu/additive_attention_plan.h"
#include "fovea/kernels/cpu/attention_simd.h"
#include "fovea/kernels/cpu/dropout.h"
#include "fovea/kernels/cpu/functions.h"
#include "fovea/kernels/cpu/loops.h"

#define FOVEA_BODY "fovea/kernels/cpu/additive_attention.inl"
#include "fovea/kernels/cpu/for_each_isa.h"
