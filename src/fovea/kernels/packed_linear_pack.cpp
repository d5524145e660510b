// Packing the weights of packed_linear.h, and reading rows of them back (packed_rows.h).

#include <algorithm>
#include <cstring>
#include <new>
#include <string>

#include "fovea/base/bfloat16.h"
#include "fovea/base/checked.h"
#include "fovea/base/error.h"
#include "fovea/kernels/cpu/packed_linear.h"
#include "fovea/kernels/packed_rows.h"
#include "fovea/kernels/quantise_row.h"

namespace fovea::kernels {
namespace {

using cpu::linear_panel;
using cpu::linear_step_bytes;
using cpu::linear_steps;

[[noreturn]] void fail(const std::string& what) { throw Error(Error::Kind::bug, "pack_linear", what); }

std::int64_t padded_rows(std::int64_t N) { return (N + linear_panel - 1) / linear_panel * linear_panel; }

std::int64_t panel_bytes(DType dtype, std::int64_t K) {
  return linear_steps(dtype, K) * linear_step_bytes * linear_panel;
}

void check(DType dtype, std::int64_t N, std::int64_t K) {
  constexpr std::int64_t longest_sum = 131072;
  if (N < 0 || K < 0) fail("negative extent: N=" + std::to_string(N) + " K=" + std::to_string(K));
  if (dtype != DType::f32 && dtype != DType::bf16 && dtype != DType::i8)
    fail("weights cannot be " + std::string(name_of(dtype)));
  if (dtype == DType::i8 && K > longest_sum)
    fail("sums of " + std::to_string(K) + " products of i8 overflow");
}

void widen_row(const LinearRows& rows, std::int64_t n, float* to) {
  const std::int64_t first = n * rows.K;
  if (rows.dtype == DType::f32) {
    std::copy_n(static_cast<const float*>(rows.data) + first, rows.K, to);
  } else if (rows.dtype == DType::bf16) {
    const auto* from = static_cast<const bfloat16*>(rows.data) + first;
    for (std::int64_t k = 0; k < rows.K; ++k) to[k] = static_cast<float>(from[k]);
  } else {
    const auto* from = static_cast<const std::int8_t*>(rows.data) + first;
    for (std::int64_t k = 0; k < rows.K; ++k) to[k] = rows.scales[n] * static_cast<float>(from[k]);
  }
}

const float* widened_row(const LinearRows& rows, std::int64_t n, float* room) {
  if (rows.dtype == DType::f32) return static_cast<const float*>(rows.data) + n * rows.K;
  widen_row(rows, n, room);
  return room;
}

// Row n in steps, the elements after K of no effect; `wide` has room for a row of floats.
void row_to_bf16(const LinearRows& rows, std::int64_t n, float* wide, std::byte* steps) {
  auto* to = reinterpret_cast<bfloat16*>(steps);
  if (rows.dtype == DType::bf16) {
    std::copy_n(static_cast<const bfloat16*>(rows.data) + n * rows.K, rows.K, to);
  } else {
    const float* from = widened_row(rows, n, wide);
    for (std::int64_t k = 0; k < rows.K; ++k) to[k] = bfloat16(from[k]);
  }
  if (rows.K % 2) to[rows.K] = bfloat16();
}

float row_to_integers(const LinearRows& rows, std::int64_t n, float* wide, std::byte* steps) {
  auto* to = reinterpret_cast<std::int8_t*>(steps);
  float scale;
  if (rows.dtype == DType::i8) {
    std::copy_n(static_cast<const std::int8_t*>(rows.data) + n * rows.K, rows.K, to);
    scale = rows.scales[n];
  } else {
    scale = quantise_row(widened_row(rows, n, wide), rows.K, to).scale;
  }
  for (std::int64_t k = rows.K; k % linear_step_bytes; ++k) to[k] = 0;
  for (std::int64_t k = 0; k < linear_steps(DType::i8, rows.K) * linear_step_bytes; ++k)
    to[k] = static_cast<std::int8_t>(to[k] ^ -128);
  return scale;
}

void pack_panels(const Execution& exec, DType dtype, const LinearRows& rows, std::byte* panels,
                 float* scales) {
  const std::int64_t steps = linear_steps(dtype, rows.K), row_bytes = steps * linear_step_bytes;
  const std::int64_t count = padded_rows(rows.N) / linear_panel;
  const auto pack = [&](int worker, std::int64_t panel) {
    const auto floats = static_cast<std::size_t>(linear_panel * steps + rows.K);
    float* room = exec.workspace->get(worker, 0, floats);
    auto* staged = reinterpret_cast<std::byte*>(room);
    const std::int64_t first = panel * linear_panel, nb = std::min(linear_panel, rows.N - first);
    for (std::int64_t i = 0; i < nb; ++i) {
      float* wide = room + linear_panel * steps;
      if (dtype == DType::bf16)
        row_to_bf16(rows, first + i, wide, staged + i * row_bytes);
      else
        scales[first + i] = row_to_integers(rows, first + i, wide, staged + i * row_bytes);
    }
    std::byte* to = panels + panel * row_bytes * linear_panel;
    if (nb < linear_panel) std::memset(to, 0, static_cast<std::size_t>(row_bytes * linear_panel));
    cpu::linear_pack_panel(exec.kernels, staged, nb, steps, to);
  };
  const int workers = static_cast<int>(std::min<std::int64_t>(exec.pool->size(), count));
  const auto share = [&](int worker) {
    if (worker >= workers) return;
    for (std::int64_t p = count * worker / workers; p < count * (worker + 1) / workers; ++p) pack(worker, p);
  };
  if (workers <= 1 || rows.N * rows.K < 65536) {
    for (std::int64_t p = 0; p < count; ++p) pack(0, p);
  } else {
    exec.pool->run(share);
  }
}

void pack_floats(const Execution& exec, const LinearRows& rows, float* memory) {
  if (rows.dtype == DType::f32) {
    pack_b(exec, rows.K, rows.N, static_cast<const float*>(rows.data), rows.K, true, memory);
    return;
  }
  const std::unique_ptr<float[]> wide(new float[static_cast<std::size_t>(rows.N * rows.K)]);
  for (std::int64_t n = 0; n < rows.N; ++n) widen_row(rows, n, wide.get() + n * rows.K);
  pack_b(exec, rows.K, rows.N, wide.get(), rows.K, true, memory);
}

// Where the scales of i8 begin: behind the panels.
std::int64_t scales_place(std::int64_t N, std::int64_t K) {
  return padded_rows(N) / linear_panel * panel_bytes(DType::i8, K);
}

}  // namespace

void PackedLinear::Free::operator()(const std::byte* data) const {
  if (!borrowed) ::operator delete[](const_cast<std::byte*>(data), std::align_val_t{64});
}

std::size_t packed_linear_bytes(const Execution& exec, DType dtype, std::int64_t N, std::int64_t K) {
  check(dtype, N, K);
  if (dtype == DType::f32) return (packed_floats(exec, K, N) * sizeof(float) + 63) / 64 * 64;
  if (N > (std::int64_t{1} << 40) || K > (std::int64_t{1} << 40)) fail("weights too large");
  const auto panels = checked_mul<std::int64_t>(padded_rows(N) / linear_panel, panel_bytes(dtype, K));
  const std::int64_t scales =
      dtype == DType::i8 ? padded_rows(N) * static_cast<std::int64_t>(sizeof(float)) : 0;
  const auto bytes = panels ? checked_add(*panels, scales) : panels;
  if (!bytes) fail("weights too large");
  return static_cast<std::size_t>(*bytes);
}

PackedLinear packed_linear(const Execution& exec, DType dtype, std::int64_t N, std::int64_t K,
                           const std::byte* memory, bool borrowed) {
  PackedLinear packed;
  packed.dtype_ = dtype;
  packed.N_ = N;
  packed.K_ = K;
  packed.bytes_ = packed_linear_bytes(exec, dtype, N, K);
  packed.memory_ =
      std::unique_ptr<const std::byte[], PackedLinear::Free>(memory, PackedLinear::Free{borrowed});
  if (dtype == DType::f32) packed.matrix_ = packed_b(exec, K, N, reinterpret_cast<const float*>(memory));
  if (dtype == DType::i8) packed.scales_ = reinterpret_cast<const float*>(memory + scales_place(N, K));
  return packed;
}

PackedLinear pack_linear(const Execution& exec, DType dtype, const LinearRows& weights, std::byte* memory) {
  check(weights.dtype, weights.N, weights.K);
  if (weights.dtype == DType::i8 && !weights.scales) fail("rows of i8 without scales");
  const std::size_t bytes = packed_linear_bytes(exec, dtype, weights.N, weights.K);
  const bool borrowed = memory != nullptr;
  if (!borrowed) memory = static_cast<std::byte*>(::operator new[](bytes, std::align_val_t{64}));
  PackedLinear packed = packed_linear(exec, dtype, weights.N, weights.K, memory, borrowed);
  if (dtype == DType::f32) {
    std::memset(memory + bytes - std::min<std::size_t>(bytes, 64), 0, std::min<std::size_t>(bytes, 64));
    pack_floats(exec, weights, reinterpret_cast<float*>(memory));
    return packed;
  }
  float* scales = nullptr;
  if (dtype == DType::i8) {
    scales = reinterpret_cast<float*>(memory + scales_place(weights.N, weights.K));
    std::fill(scales, scales + padded_rows(weights.N), 0.0f);
  }
  pack_panels(exec, dtype, weights, memory, scales);
  return packed;
}

void unpack_row(const PackedLinear& weights, std::int64_t n, float scale, float* to) {
  if (weights.dtype() == DType::f32) return unpack_column(weights.matrix(), n, scale, to);
  const std::byte* from = weights.panels() + n / linear_panel * panel_bytes(weights.dtype(), weights.K()) +
                          n % linear_panel * linear_step_bytes;
  const std::int64_t elements = weights.dtype() == DType::bf16 ? 2 : 4;
  for (std::int64_t k = 0; k < weights.K(); ++k) {
    const std::byte* step = from + k / elements * linear_panel * linear_step_bytes;
    if (weights.dtype() == DType::bf16)
      to[k] = scale * static_cast<float>(reinterpret_cast<const bfloat16*>(step)[k % elements]);
    else
      to[k] = scale * static_cast<float>(reinterpret_cast<const std::uint8_t*>(step)[k % elements] - 128);
  }
}

void copy_row(const PackedLinear& weights, std::int64_t n, std::byte* to) {
  if (weights.dtype() == DType::f32)
    return unpack_column(weights.matrix(), n, 1.0f, reinterpret_cast<float*>(to));
  const std::byte* from = weights.panels() + n / linear_panel * panel_bytes(weights.dtype(), weights.K()) +
                          n % linear_panel * linear_step_bytes;
  const std::int64_t bytes = weights.K() * static_cast<std::int64_t>(size_of(weights.dtype()));
  std::int64_t at = 0;
  for (; at + linear_step_bytes <= bytes; at += linear_step_bytes, from += linear_panel * linear_step_bytes)
    std::memcpy(to + at, from, linear_step_bytes);
  std::memcpy(to + at, from, static_cast<std::size_t>(bytes - at));
  if (weights.dtype() != DType::i8) return;
  for (std::int64_t k = 0; k < bytes; ++k) to[k] ^= std::byte{128};
}

void look_up_rows(const Execution& exec, const PackedLinear& weights, std::int64_t count,
                  const std::int32_t* ids, float scale, float* out) {
  const std::int64_t grain = std::max<std::int64_t>(1, 8192 / std::max<std::int64_t>(1, weights.K()));
  exec.pool->parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      unpack_row(weights, ids[i], weights.scales() ? scale * weights.scales()[ids[i]] : scale,
                 out + i * weights.K());
  });
}

}  // namespace fovea::kernels
