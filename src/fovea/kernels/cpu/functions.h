#pragma once

#include "fovea/kernels/cpu/simd.h"

/// Adds to each namespace of simd.h
///   sigmoid(x)      relative error below 4e-7 above -87
///   tanh(x)         relative error below 2e-7
///   normal_law(x)   {cdf, density} of the standard normal: absolute errors below 1.5e-7; both 0 far to the
///   left
/// NaN stays NaN.
#define FOVEA_BODY "fovea/kernels/cpu/functions.inl"
#include "fovea/kernels/cpu/for_each_isa.h"
