#pragma once

/// What lies between matrix products: operations on rows [N, D], row-major and contiguous. All are
/// memory-bound, so each does as much as it can in one pass. One header an operation family; this one names
/// them all.
#include "fovea/kernels/activation.h"
#include "fovea/kernels/column_sum.h"
#include "fovea/kernels/cross_entropy.h"
#include "fovea/kernels/dropout.h"
#include "fovea/kernels/embedding.h"
#include "fovea/kernels/norm.h"
#include "fovea/kernels/top_k.h"
