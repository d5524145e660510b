// The processor's dot products with AVX-512: vdpbf16ps (pairs of bf16 into f32) and vpdpbusd (four 8-bit
// products into a 32-bit integer, exact). Weights are its unsigned operand, so that their offset of 128 costs
// one number a row of x.

#include <immintrin.h>

#include <array>
#include <cstdint>
#include <utility>

#include "fovea/base/bfloat16.h"
#include "fovea/kernels/cpu/packed_linear.h"

#if defined(__clang__)
#pragma clang attribute push( \
    __attribute__((target("avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512bf16"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")
#endif
namespace fovea::kernels::cpu::avx512_dot16 {
namespace {
using Sum = __m512;
inline Sum start_of(const LinearRowState&) { return _mm512_setzero_ps(); }
inline __m512 as_floats(Sum sum) { return sum; }
inline void dot(Sum& sum, __m512i w, __m512i x) { sum = _mm512_dpbf16_ps(sum, (__m512bh)w, (__m512bh)x); }
#include "fovea/kernels/cpu/packed_linear_dot.inl"
}  // namespace

LinearRowState linear_prepare_pairs(const float* x, std::int64_t K, std::byte* to) {
  auto* rounded = reinterpret_cast<std::uint16_t*>(to);
  for (std::int64_t k = 0; k < K; ++k) rounded[k] = bfloat16(x[k]).bits;
  if (K % 2) rounded[K] = 0;
  return {};
}

void linear_tile_pairs(int rows, int groups, const LinearTile& tile) {
  tiles[static_cast<std::size_t>((rows - 1) * 4 + groups - 1)](tile);
}
}  // namespace fovea::kernels::cpu::avx512_dot16
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push( \
    __attribute__((target("avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni"))), apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")
#endif
namespace fovea::kernels::cpu::avx512_dot8 {
namespace {
using Sum = __m512i;
inline Sum start_of(const LinearRowState& state) { return _mm512_set1_epi32(state.start); }
inline __m512 as_floats(Sum sum) { return _mm512_cvtepi32_ps(sum); }
// Not by intrinsic: GCC 12 copies the sum there and back.
inline void dot(Sum& sum, __m512i w, __m512i x) { asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(w), "v"(x)); }
#include "fovea/kernels/cpu/packed_linear_dot.inl"
}  // namespace

void linear_tile_integers(int rows, int groups, const LinearTile& tile) {
  tiles[static_cast<std::size_t>((rows - 1) * 4 + groups - 1)](tile);
}
}  // namespace fovea::kernels::cpu::avx512_dot8
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
