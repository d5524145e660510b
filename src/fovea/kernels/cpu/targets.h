#pragma once

/// FOVEA_TARGET_X ... FOVEA_TARGET_END: the functions between are compiled for instruction set X, whatever
/// the rest of the file is for. Those of 16-bit dot products are for processors with has_16_bit_dot().

#define FOVEA_PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define FOVEA_TARGET(set) \
  FOVEA_PRAGMA(clang attribute push(__attribute__((target(set))), apply_to = function))
#define FOVEA_TARGET_END FOVEA_PRAGMA(clang attribute pop)
#else
#define FOVEA_TARGET(set) FOVEA_PRAGMA(GCC push_options) FOVEA_PRAGMA(GCC target(set))
#define FOVEA_TARGET_END FOVEA_PRAGMA(GCC pop_options)
#endif

#define FOVEA_TARGET_AVX2 FOVEA_TARGET("avx2,fma")
#define FOVEA_TARGET_AVX512 FOVEA_TARGET("avx2,fma,avx512f,avx512bw,avx512vl,avx512dq")
#define FOVEA_TARGET_DOT8 FOVEA_TARGET("avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")
#define FOVEA_TARGET_DOT16 FOVEA_TARGET("avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16")
