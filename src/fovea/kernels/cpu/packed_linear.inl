// The body of cpu/packed_linear.cpp, included once per instruction set inside its namespace (for_each_isa.h).

#include "fovea/kernels/cpu/activate.inl"

// Rows of x made ready: bf16 values as floats, where the processor multiplies floats.
LinearRowState linear_prepare_rounded(const float* x, std::int64_t K, std::byte* to) {
  auto* rounded = reinterpret_cast<float*>(to);
  for (std::int64_t k = 0; k < K; ++k) rounded[k] = static_cast<float>(bfloat16(x[k]));
  if (K % 2) rounded[K] = 0.0f;
  return {};
}

LinearRowState linear_prepare_integers(const float* x, std::int64_t K, std::byte* to) {
  auto* q = reinterpret_cast<std::int8_t*>(to);
  const QuantisedRow row = quantise_row(x, K, q);
  for (std::int64_t k = K; k % 4; ++k) q[k] = 0;
  return {row.scale, -128 * row.sum};
}

// Sums of one vector group of columns: chains over k in order, the first element of a pair first.
template <int rows, int vectors>
inline void widened_sums(const LinearTile& t, int row, std::int64_t column) {
  const auto* w = reinterpret_cast<const std::uint32_t*>(t.w) + column;
  const float* x[rows];
  Floats sum[rows][vectors];
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) {
    x[r] = reinterpret_cast<const float*>(t.x + (row + r) * t.x_stride);
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) sum[r][v] = zero();
  }
  for (std::int64_t k = 0; k < 2 * t.steps; k += 2, w += linear_panel) {
    Floats first[vectors], second[vectors];
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) {
      const Words pairs = load_words(w + v * width);
      first[v] = bits_as_floats(shift_left<16>(pairs));
      second[v] = bits_as_floats(upper_half(pairs));
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
      const Floats a = broadcast(x[r][k]), b = broadcast(x[r][k + 1]);
#pragma GCC unroll 8
      for (int v = 0; v < vectors; ++v) sum[r][v] = fma(b, second[v], fma(a, first[v], sum[r][v]));
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) store(t.sums + (row + r) * linear_panel + column + v * width, sum[r][v]);
}

void linear_tile_widened(int rows, int groups, const LinearTile& t) {
  constexpr int vectors = static_cast<int>(linear_lanes) / width;
  constexpr int together = registers >= 16 ? 3 : 1;
  for (int group = 0; group < groups; ++group) {
    const std::int64_t column = group * linear_lanes;
    int row = 0;
    for (; row + together <= rows; row += together) widened_sums<together, vectors>(t, row, column);
    for (; row < rows; ++row) widened_sums<1, vectors>(t, row, column);
  }
}

// By columns, so that their scales and biases are read once.
template <Activation activation, bool scaled, bool from_memory>
void finish_tile_as(const LinearFinish& f, int rows, std::int64_t columns, const float* sums) {
  over_vectors(columns, [&](std::int64_t n, auto lanes) {
    const Floats scale = scaled ? lanes.read(f.scales + n) : zero();
    const Floats bias = f.bias ? lanes.read(f.bias + n) : broadcast(-0.0f);  // x + -0 = x
    const float* residual = f.residual ? f.residual + n : nullptr;
    float* y = f.y + n;
    for (int r = 0; r < rows; ++r, y += f.stride) {
      Floats c = load(sums + r * linear_panel + n);
      if (scaled) c = mul(c, mul(broadcast(f.state[r].scale), scale));
      if (from_memory && f.accumulate) c = add(c, lanes.read(y));
      c = activate<activation>(add(c, bias));
      if (from_memory && residual) c = add(c, lanes.read(residual + r * f.stride));
      lanes.write(y, c);
    }
  });
}

template <Activation activation, bool scaled>
void finish_tile_scaled(const LinearFinish& f, int rows, std::int64_t columns, const float* sums) {
  if (f.accumulate || f.residual) return finish_tile_as<activation, scaled, true>(f, rows, columns, sums);
  finish_tile_as<activation, scaled, false>(f, rows, columns, sums);
}

template <Activation activation>
void finish_tile(const LinearFinish& f, int rows, std::int64_t columns, const float* sums) {
  if (f.scales) return finish_tile_scaled<activation, true>(f, rows, columns, sums);
  finish_tile_scaled<activation, false>(f, rows, columns, sums);
}

void linear_finish(const LinearFinish& f, int rows, std::int64_t columns, const float* sums) {
  with_activation(f.activation, [&]<Activation activation> { finish_tile<activation>(f, rows, columns, sums); });
}

// Steps travel as floats, and only travel.
void linear_transpose(const float* from, std::int64_t rows, std::int64_t steps, float* to) {
  std::int64_t n = 0;
  for (; n + width <= rows; n += width) {
    std::int64_t k = 0;
    for (; k + width <= steps; k += width)
      transpose_square(from + n * steps + k, steps, to + k * linear_panel + n, linear_panel);
    for (; k < steps; ++k)
      for (int i = 0; i < width; ++i) to[k * linear_panel + n + i] = from[(n + i) * steps + k];
  }
  for (; n < rows; ++n)
    for (std::int64_t k = 0; k < steps; ++k) to[k * linear_panel + n] = from[n * steps + k];
}
