#pragma once

#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "fovea/base/dtype.h"
#include "fovea/kernels/execution.h"

/// What arithmetic gives to a program that does nothing else: the measure of kernels bound by it.
namespace fovea {

// Independent chains of multiply-adds, as many as hide their latency; returns operations done.
__attribute__((target("avx512f"))) inline double multiply_adds_512(std::int64_t rounds) {
  __m512 sums[12];
  for (int i = 0; i < 12; ++i) sums[i] = _mm512_set1_ps(static_cast<float>(i));
  const __m512 x = _mm512_set1_ps(0.999f), y = _mm512_set1_ps(1e-3f);
  for (std::int64_t n = 0; n < rounds; ++n)
    for (int i = 0; i < 12; ++i) sums[i] = _mm512_fmadd_ps(sums[i], x, y);
  for (const auto& sum : sums) asm volatile("" : : "v"(sum));
  return 12.0 * 32.0 * static_cast<double>(rounds);
}
__attribute__((target("avx2,fma"))) inline double multiply_adds_256(std::int64_t rounds) {
  __m256 sums[12];
  for (int i = 0; i < 12; ++i) sums[i] = _mm256_set1_ps(static_cast<float>(i));
  const __m256 x = _mm256_set1_ps(0.999f), y = _mm256_set1_ps(1e-3f);
  for (std::int64_t n = 0; n < rounds; ++n)
    for (int i = 0; i < 12; ++i) sums[i] = _mm256_fmadd_ps(sums[i], x, y);
  for (const auto& sum : sums) asm volatile("" : : "v"(sum));
  return 12.0 * 16.0 * static_cast<double>(rounds);
}

__attribute__((target("avx512f,avx512bf16"))) inline double multiply_adds_bf16(std::int64_t rounds) {
  __m512 sums[12];
  for (int i = 0; i < 12; ++i) sums[i] = _mm512_set1_ps(static_cast<float>(i));
  const __m512i x = _mm512_set1_epi32(0x3c003c00);
  for (std::int64_t n = 0; n < rounds; ++n)
    for (int i = 0; i < 12; ++i) sums[i] = _mm512_dpbf16_ps(sums[i], (__m512bh)x, (__m512bh)x);
  for (const auto& sum : sums) asm volatile("" : : "v"(sum));
  return 12.0 * 64.0 * static_cast<double>(rounds);
}

/// Operations a second that all workers reach together: the best of some tries of about a millisecond.
inline double measured_peak(const kernels::Execution& exec, bool bf16 = false) {
  using kernels::KernelSet, kernels::runs_here, kernels::has_16_bit_dot;
  const bool wide = runs_here(KernelSet::avx512), pairs = bf16 && has_16_bit_dot();
  if (!wide && !runs_here(KernelSet::avx2)) return 0.0;
  double best = 0.0;
  for (int i = 0; i < 40; ++i) {
    const auto start = std::chrono::steady_clock::now();
    double operations = 0.0;
    exec.pool->run([&](int worker) {
      const double done = pairs  ? multiply_adds_bf16(300000)
                          : wide ? multiply_adds_512(300000)
                                 : multiply_adds_256(300000);
      if (worker == 0) operations = done * exec.pool->size();
    });
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::max(best, operations / seconds.count());
  }
  return best;
}

/// Products of `dtype` in the time of one of f32, at the most: without dot products of its own, bf16 is
/// widened to f32, and integers are multiplied in words.
inline double products_a_product(DType dtype) {
  if (dtype == DType::bf16) return kernels::has_16_bit_dot() ? 2.0 : 1.0;
  if (dtype == DType::i8) return kernels::has_8_bit_dot() ? 4.0 : 2.0;
  return 1.0;
}

}  // namespace fovea
