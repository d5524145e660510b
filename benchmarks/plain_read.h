#pragma once

#include <immintrin.h>

#include <cstdint>

#include "fovea/kernels/execution.h"

/// What memory gives to a program that does nothing but read: the measure of kernels bound by it.
namespace fovea {

// 256 bytes at a time, added up in four registers; whole cache lines, in order.
__attribute__((target("avx512f"))) inline float read_avx512(const float* p, std::int64_t count) {
  __m512 sums[4] = {};
  for (std::int64_t i = 0; i + 64 <= count; i += 64)
    for (int k = 0; k < 4; ++k) sums[k] = _mm512_add_ps(sums[k], _mm512_loadu_ps(p + i + 16 * k));
  alignas(64) float sum[16];
  _mm512_store_ps(sum, _mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3])));
  return sum[0] + sum[15];
}
__attribute__((target("avx2"))) inline float read_avx2(const float* p, std::int64_t count) {
  __m256 sums[8] = {};
  for (std::int64_t i = 0; i + 64 <= count; i += 64)
    for (int k = 0; k < 8; ++k) sums[k] = _mm256_add_ps(sums[k], _mm256_loadu_ps(p + i + 8 * k));
  for (int k = 1; k < 8; ++k) sums[0] = _mm256_add_ps(sums[0], sums[k]);
  alignas(32) float sum[8];
  _mm256_store_ps(sum, sums[0]);
  return sum[0] + sum[7];
}
inline float read_plain(const float* p, std::int64_t count) {
  float sums[16] = {};
  for (std::int64_t i = 0; i + 16 <= count; i += 16)
    for (int k = 0; k < 16; ++k) sums[k] += p[i + k];
  return sums[0] + sums[15];
}

/// The sum of `count` floats, or something like it.
inline float plain_read(const float* p, std::int64_t count) {
  if (kernels::runs_here(kernels::KernelSet::avx512)) return read_avx512(p, count);
  return kernels::runs_here(kernels::KernelSet::avx2) ? read_avx2(p, count) : read_plain(p, count);
}

}  // namespace fovea
