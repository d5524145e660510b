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

inline Moments mean_square(const float* row, std::int64_t D) {
  Floats squares = zero();
  over_vectors(D, [&](std::int64_t d, auto lanes) {
    const Floats x = lanes.read(row + d);
    squares = fma(x, x, squares);
  });
  return {0.0f, sum(squares) / static_cast<float>(D)};
}

template <NormKind kind>
inline void norm_forward_row(const NormForward<float>& a, std::int64_t n, const float* row) {
  const std::int64_t D = a.extents.D;
  const Moments m = kind == NormKind::layer ? moments(row, D) : mean_square(row, D);
  const float rstd = 1.0f / std::sqrt(m.variance + a.extents.eps);
  over_vectors(D, [&](std::int64_t d, auto lanes) {
    const Floats x = lanes.read(row + d), gamma = lanes.read(a.gamma + d);
    if constexpr (kind == NormKind::layer) {
      const Floats normal = mul(sub(x, broadcast(m.mean)), broadcast(rstd));
      lanes.write(a.y + n * D + d, fma(normal, gamma, lanes.read(a.beta + d)));
    } else {
      lanes.write(a.y + n * D + d, mul(mul(x, broadcast(rstd)), gamma));
    }
  });
  if (a.mean && kind == NormKind::layer) a.mean[n] = m.mean;
  if (a.rstd) a.rstd[n] = rstd;
}

void norm_forward(const NormForward<float>& a, std::int64_t begin, std::int64_t end) {
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
      if (a.extents.kind == NormKind::layer)
        norm_forward_row<NormKind::layer>(a, n, row);
      else
        norm_forward_row<NormKind::rms>(a, n, row);
    }
  }
}

template <NormKind kind>
inline void norm_backward_row(const NormBackward<float>& a, std::int64_t n, float* d_gamma, float* d_beta) {
  constexpr bool centred = kind == NormKind::layer;
  const std::int64_t D = a.extents.D;
  const float *d_y = a.d_y + n * D, *row = a.sum + n * D;
  const float* further = a.d_residual_in ? a.d_residual_in + n * D : nullptr;
  const float share = 1.0f / static_cast<float>(D);
  const Floats mean = centred ? broadcast(a.mean[n]) : zero(), rstd = broadcast(a.rstd[n]);
  const auto normal = [&](Floats x) { return mul(centred ? sub(x, mean) : x, rstd); };
  Floats sum_g = zero(), sum_gh = zero();
  over_vectors(D, [&](std::int64_t d, auto lanes) {
    const Floats dy = lanes.read(d_y + d), h = normal(lanes.read(row + d));
    const Floats g = mul(dy, lanes.read(a.gamma + d));
    if constexpr (centred) sum_g = add(sum_g, g);
    sum_gh = fma(g, h, sum_gh);
    lanes.write(d_gamma + d, fma(dy, h, lanes.read(d_gamma + d)));
    if constexpr (centred) lanes.write(d_beta + d, add(dy, lanes.read(d_beta + d)));
  });
  const Floats mean_g = broadcast(sum(sum_g) * share), mean_gh = broadcast(sum(sum_gh) * share);
  over_vectors(D, [&](std::int64_t d, auto lanes) {
    const Floats g = mul(lanes.read(d_y + d), lanes.read(a.gamma + d));
    const Floats h = normal(lanes.read(row + d));
    const Floats through = mul(rstd, fnma(h, mean_gh, centred ? sub(g, mean_g) : g));
    lanes.write(a.d_sum + n * D + d, further ? add(through, lanes.read(further + d)) : through);
  });
}

void norm_backward(const NormBackward<float>& a, std::int64_t begin, std::int64_t end, float* d_gamma_beta) {
  const std::int64_t D = a.extents.D, group = rows_in_l1(D);
  for (std::int64_t first = begin; first < end; first += group) {
    const std::int64_t last = std::min(end, first + group);
    for (std::int64_t n = first; n < last; ++n) {
      if (a.extents.kind == NormKind::layer)
        norm_backward_row<NormKind::layer>(a, n, d_gamma_beta, d_gamma_beta + D);
      else
        norm_backward_row<NormKind::rms>(a, n, d_gamma_beta, nullptr);
    }
    if (a.d_x)
      add_dropped(a.extents.dropout, static_cast<std::uint64_t>(first * D), (last - first) * D, a.d_sum + first * D,
                  nullptr, a.d_x + first * D);
  }
}
