// Included once per instruction set: see for_each_isa.h. A row, or a few of narrow ones, stays in L1 from pass to pass.

inline std::int64_t rows_in_l1(std::int64_t D) { return std::max<std::int64_t>(1, 1024 / std::max<std::int64_t>(1, D)); }

struct Moments {
  float mean, variance;
};

/// Two passes; the second also takes the mean of the differences, which corrects what the first one's rounding lost.
inline Moments moments(const float* row, std::int64_t D) {
  const float share = 1.0f / static_cast<float>(D);
  Floats total = zero();
  over_vectors(D, [&](std::int64_t d, auto lanes) { total = add(total, lanes.read(row + d)); });
  const float mean = sum(total) * share;
  Floats squares = zero(), rest = zero();
  over_vectors(D, [&](std::int64_t d, auto lanes) {
    const Floats difference = lanes.keep(sub(lanes.read(row + d), broadcast(mean)));
    squares = fma(difference, difference, squares);
    rest = add(rest, difference);
  });
  const float correction = sum(rest) * share;
  const float variance = sum(squares) * share - correction * correction;
  return {mean + correction, variance < 0.0f ? 0.0f : variance};  // NaN passes
}

void layer_norm_forward(const LayerNormForward<float>& a, std::int64_t begin, std::int64_t end) {
  const std::int64_t D = a.extents.D, group = rows_in_l1(D);
  const bool as_it_is = !a.residual && !a.extents.dropout.active() && (!a.sum || a.sum == a.x);
  float* sums = a.sum ? a.sum : a.y;
  for (std::int64_t first = begin; first < end; first += group) {
    const std::int64_t last = std::min(end, first + group);
    if (!as_it_is)
      add_dropped(a.extents.dropout, static_cast<std::uint64_t>(first * D), (last - first) * D, a.x + first * D,
                  a.residual ? a.residual + first * D : nullptr, sums + first * D);
    for (std::int64_t n = first; n < last; ++n) {
      const float* row = (as_it_is ? a.x : sums) + n * D;
      const Moments m = moments(row, D);
      const float rstd = 1.0f / std::sqrt(m.variance + a.extents.eps);
      over_vectors(D, [&](std::int64_t d, auto lanes) {
        const Floats normal = mul(sub(lanes.read(row + d), broadcast(m.mean)), broadcast(rstd));
        lanes.write(a.y + n * D + d, fma(normal, lanes.read(a.gamma + d), lanes.read(a.beta + d)));
      });
      if (a.mean) a.mean[n] = m.mean;
      if (a.rstd) a.rstd[n] = rstd;
    }
  }
}

inline void layer_norm_backward_row(const LayerNormBackward<float>& a, std::int64_t n, float* d_gamma, float* d_beta) {
  const std::int64_t D = a.extents.D;
  const float *d_y = a.d_y + n * D, *row = a.sum + n * D;
  const float* further = a.d_residual_in ? a.d_residual_in + n * D : nullptr;
  const float share = 1.0f / static_cast<float>(D);
  const Floats mean = broadcast(a.mean[n]), rstd = broadcast(a.rstd[n]);
  Floats sum_g = zero(), sum_gh = zero();
  over_vectors(D, [&](std::int64_t d, auto lanes) {
    const Floats dy = lanes.read(d_y + d), h = mul(sub(lanes.read(row + d), mean), rstd);
    const Floats g = mul(dy, lanes.read(a.gamma + d));
    sum_g = add(sum_g, g);
    sum_gh = fma(g, h, sum_gh);
    lanes.write(d_gamma + d, fma(dy, h, lanes.read(d_gamma + d)));
    lanes.write(d_beta + d, add(dy, lanes.read(d_beta + d)));
  });
  const Floats mean_g = broadcast(sum(sum_g) * share), mean_gh = broadcast(sum(sum_gh) * share);
  over_vectors(D, [&](std::int64_t d, auto lanes) {
    const Floats g = mul(lanes.read(d_y + d), lanes.read(a.gamma + d));
    const Floats h = mul(sub(lanes.read(row + d), mean), rstd);
    const Floats through = mul(rstd, fnma(h, mean_gh, sub(g, mean_g)));
    lanes.write(a.d_sum + n * D + d, further ? add(through, lanes.read(further + d)) : through);
  });
}

void layer_norm_backward(const LayerNormBackward<float>& a, std::int64_t begin, std::int64_t end, float* d_gamma_beta) {
  const std::int64_t D = a.extents.D, group = rows_in_l1(D);
  for (std::int64_t first = begin; first < end; first += group) {
    const std::int64_t last = std::min(end, first + group);
    for (std::int64_t n = first; n < last; ++n) layer_norm_backward_row(a, n, d_gamma_beta, d_gamma_beta + D);
    if (a.d_x)
      add_dropped(a.extents.dropout, static_cast<std::uint64_t>(first * D), (last - first) * D, a.d_sum + first * D,
                  nullptr, a.d_x + first * D);
  }
}
