// Forward of one query at a time: what decoding does. Bound by reading keys and values, each row once; lanes
// = dimensions, then keys. Included by attention.inl.

inline std::int64_t row_scratch(const AttentionExtents& x, std::int64_t most_keys) {
  return Arena::size(round_up(x.key_width)) + 2 * Arena::size(round_up(most_keys));
}

// scores[j] = q . row(j) for j < n, and no_score up to the next multiple of width. q is padded with zeros.
inline void row_scores(const AttentionHead& head, const float* q, const float* k, std::int64_t row_stride,
                       std::int64_t count, std::int64_t n, float* scores) {
  const int rest = static_cast<int>(count % width);
  for (std::int64_t j0 = 0; j0 < n; j0 += width) {
    const float* row[width];
    for (int i = 0; i < width; ++i) row[i] = k + head.key_row(std::min(j0 + i, n - 1)) * row_stride;
    Floats sums[width];
    FOVEA_UNROLL for (int i = 0; i < width; ++i) sums[i] = zero();
    std::int64_t d = 0;
    for (; d + width <= count; d += width) {
      const Floats x = load(q + d);
      FOVEA_UNROLL for (int i = 0; i < width; ++i) sums[i] = fma(x, load(row[i] + d), sums[i]);
    }
    if (rest) {
      const Floats x = load(q + d);
      FOVEA_UNROLL for (int i = 0; i < width; ++i) sums[i] = fma(x, load_first(row[i] + d, rest), sums[i]);
    }
    store(scores + j0, lane_sums(sums));
  }
  std::fill(scores + n, scores + round_up(n), no_score);
}

// out[:] = factor * sum_j p[j] row(j), V vectors of columns of which the last holds `last` floats. Four keys
// at a time, each with sums of its own, so that additions need not wait for one another.
template <int V>
void row_mix(const AttentionHead& head, const float* p, const float* v, std::int64_t row_stride,
             std::int64_t n, float factor, int last, float* out) {
  Floats sums[4][V];
  FOVEA_UNROLL for (int u = 0; u < 4; ++u) { FOVEA_UNROLL for (int i = 0; i < V; ++i) sums[u][i] = zero(); }
  std::int64_t j = 0;
  for (; j + 4 <= n; j += 4) {
    FOVEA_UNROLL for (int u = 0; u < 4; ++u) {
      const float* const row = v + head.key_row(j + u) * row_stride;
      const Floats x = broadcast(p[j + u]);
      FOVEA_UNROLL for (int i = 0; i < V - 1; ++i) sums[u][i] = fma(x, load(row + i * width), sums[u][i]);
      sums[u][V - 1] = fma(x, load_first(row + (V - 1) * width, last), sums[u][V - 1]);
    }
  }
  for (; j < n; ++j) {
    const float* const row = v + head.key_row(j) * row_stride;
    FOVEA_UNROLL for (int i = 0; i < V; ++i) sums[0][i] =
        fma(broadcast(p[j]), load_first(row + i * width, i == V - 1 ? last : width), sums[0][i]);
  }
  FOVEA_UNROLL for (int i = 0; i < V; ++i) {
    const Floats sum = add(add(sums[0][i], sums[1][i]), add(sums[2][i], sums[3][i]));
    store_first(out + i * width, mul(sum, broadcast(factor)), i == V - 1 ? last : width);
  }
}

inline void row_mix_all(const AttentionHead& head, const float* p, const float* v, std::int64_t row_stride,
                        std::int64_t n, float factor, std::int64_t columns, float* out) {
  for (std::int64_t e = 0; e < columns; e += 4 * width) {
    const int rest = static_cast<int>(std::min<std::int64_t>(columns - e, 4 * width));
    const int vectors = (rest + width - 1) / width, last = rest - (vectors - 1) * width;
    const auto mix = vectors == 4   ? &row_mix<4>
                     : vectors == 3 ? &row_mix<3>
                     : vectors == 2 ? &row_mix<2>
                                    : &row_mix<1>;
    mix(head, p, v + e, row_stride, n, factor, last, out + e);
  }
}

inline void forward_row(const AttentionForward& call, const AttentionHead& head, std::int64_t t,
                        float* weights, float* scratch) {
  const AttentionExtents& x = call.x;
  const std::int64_t n = head.visible(t);
  Arena arena(scratch);
  float* const q = arena.take(round_up(x.key_width));
  float* const p = arena.take(round_up(n));
  copy_row_padded(call.q + head.q + t * x.q.row, x.key_width, q);
  for (std::int64_t d = 0; d < x.key_width; d += width)
    store(q + d, mul(load(q + d), broadcast(x.scale * log2_e)));
  row_scores(head, q, call.k + head.k, x.k.row, x.key_width, n, p);
  Floats tops = broadcast(lowest), sums = zero();
  for (std::int64_t j = 0; j < n; j += width) tops = max(tops, load(p + j));
  const Floats top = broadcast(max_of(tops));
  for (std::int64_t j = 0; j < n; j += width) {
    const Floats weight = exp2(sub(load(p + j), top));
    sums = add(sums, weight);
    store(p + j, weight);
  }
  const float total = sum(sums), inverse = n > 0 ? 1.0f / total : 0.0f;
  if (call.log_sum_exp) {
    float lse = no_score;
    if (n > 0)
      store_first(&lse, fma(top, broadcast(ln_2), fma(broadcast(total), zero(), log(broadcast(total)))), 1);
    call.log_sum_exp[head.h * call.lse_stride + head.query_row + t] = lse;
  }
  if (weights)
    for (std::int64_t j = 0; j < head.keys; ++j) weights[j] = j < n ? p[j] * inverse : 0.0f;
  if (x.dropout.active()) {
    float* const kept = arena.take(round_up(n));
    dropout_multipliers(call.exec.kernels, x.dropout,
                        head.first_element + static_cast<std::uint64_t>(t * head.keys), n, kept);
    for (std::int64_t j = 0; j < n; ++j) p[j] *= kept[j];
  }
  row_mix_all(head, p, call.v + head.v, x.v.row, n, inverse, x.value_width,
              call.out + head.out + t * x.out.row);
}
