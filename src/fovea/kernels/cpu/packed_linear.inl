// The body of cpu/packed_linear.cpp, included once per instruction set inside its namespace (for_each_isa.h).

#include "fovea/kernels/cpu/activate.inl"

// Rows of x made ready: bf16 values as floats, where the processor multiplies floats.
LinearRowState linear_prepare_rounded(const float* x, std::int64_t K, std::byte* to) {
  auto* rounded = reinterpret_cast<float*>(to);
  for (std::int64_t k = 0; k < K; ++k) rounded[k] = static_cast<float>(bfloat16(x[k]));
  if (K % 2) rounded[K] = 0.0f;
  return {};
}

// sum += x times an element of each pair, which is the floats `w`.
template <int rows, int vectors>
inline void add_widened(Floats (&sum)[rows][vectors], const Floats (&w)[vectors], const std::byte* x,
                        std::int64_t x_stride) {
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) {
    const Floats element = broadcast(*reinterpret_cast<const float*>(x + r * x_stride));
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) add_product(sum[r][v], element, w[v]);
  }
}

// Sums of `vectors` of columns: chains over k in order, the first element of a pair first.
template <int rows, int vectors>
void widened_sums(const LinearTile& t, std::int64_t column, LinearAhead ahead) {
  const auto* w = reinterpret_cast<const std::uint32_t*>(t.w) + column;
  const std::byte* x = t.x;
  Floats sum[rows][vectors];
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) sum[r][v] = zero();
  for (std::int64_t step = t.steps; step > 0; --step, w += linear_panel, x += 2 * sizeof(float)) {
    Floats elements[vectors];
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) elements[v] = bits_as_floats(shift_left<16>(load_words(w + v * width)));
    add_widened<rows, vectors>(sum, elements, x, t.x_stride);
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) elements[v] = bits_as_floats(upper_half(load_words(w + v * width)));
    add_widened<rows, vectors>(sum, elements, x + sizeof(float), t.x_stride);
    fetch_ahead<vectors * width / linear_lanes>(ahead);
  }
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) store(t.sums + r * linear_panel + column + v * width, sum[r][v]);
}

template <int rows>
void widened_tile(int groups, const LinearTile& t) {
  constexpr int in_group = static_cast<int>(linear_lanes) / width;
  constexpr int together = registers < 16 ? 1 : linear_groups_at_once(rows);
  int group = 0;
  for (; group + together <= groups; group += together)
    widened_sums<rows, in_group * together>(t, group * linear_lanes, ahead_of(t, group, together));
  for (; group < groups; ++group)
    widened_sums<rows, in_group>(t, group * linear_lanes, ahead_of(t, group, 1));
}

void linear_tile_widened(int rows, int groups, const LinearTile& t) {
  constexpr void (*tiles[linear_tile_rows])(int, const LinearTile&) = {
      &widened_tile<1>, &widened_tile<2>, &widened_tile<3>, &widened_tile<4>, &widened_tile<5>, &widened_tile<6>};
  tiles[rows - 1](groups, t);
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
