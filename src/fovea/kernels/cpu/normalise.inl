// Included once per instruction set: see for_each_isa.h. Rows are of visible keys alone.

/// Zeros where nothing is seen, and the NaN that is.
inline void nothing_seen(std::int64_t n, const float* x, float* w) {
  for (std::int64_t j = 0; j < n; ++j) w[j] = std::isnan(x[j]) ? x[j] : 0.0f;
}

/// Sums of stretches are added in double: a million keys lose no more than a few.
template <class Body>
inline double sum_by_stretches(std::int64_t n, const Body& body) {
  constexpr std::int64_t stretch = 4096;
  double total = 0.0;
  for (std::int64_t begin = 0; begin < n; begin += stretch) {
    Floats partial = zero();
    over_vectors(std::min(stretch, n - begin), [&](std::int64_t i, auto lanes) {
      partial = add(partial, lanes.keep(body(begin + i, lanes)));
    });
    total += static_cast<double>(sum(partial));
  }
  return total;
}

inline void softmax_row(float temperature, std::int64_t n, const float* x, float* w) {
  const float largest = block_max(x, n), rate = 1.0f / temperature;
  if (largest == -std::numeric_limits<float>::infinity()) return nothing_seen(n, x, w);
  const double total = sum_by_stretches(n, [&](std::int64_t i, auto lanes) {
    const Floats power = exp(mul(sub(lanes.read(x + i), broadcast(largest)), broadcast(rate)));
    lanes.write(w + i, power);
    return power;
  });
  const Floats share = broadcast(static_cast<float>(1.0 / total));
  over_vectors(n, [&](std::int64_t i, auto lanes) { lanes.write(w + i, mul(lanes.read(w + i), share)); });
}

/// Newton's method on f(tau) = sum max(0, z - tau) - 1, which is convex and falls: from tau = max - 1, where f >= 0,
/// tau rises to the root, and it has arrived once the support {z > tau} stays as it is. Exact, and without sorting.
inline void sparsemax_row(float temperature, std::int64_t n, const float* x, float* w) {
  const float largest = block_max(x, n), rate = 1.0f / temperature;
  if (largest == -std::numeric_limits<float>::infinity()) return nothing_seen(n, x, w);
  over_vectors(n, [&](std::int64_t i, auto lanes) {
    lanes.write(w + i, mul(sub(lanes.read(x + i), broadcast(largest)), broadcast(rate)));
  });
  float tau = -1.0f;
  const Floats outside = broadcast(-2.0f);
  for (std::int64_t before = n + 1, support = 0;; before = support) {
    support = 0;
    const Floats bound = broadcast(tau);
    const double total = sum_by_stretches(n, [&](std::int64_t i, auto lanes) {
      const Floats z = lanes.read(w + i, outside);
      support += std::popcount(greater(z, bound));
      return select_greater(z, bound, z, zero());
    });
    if (support >= before || support == 0) break;  // 0: +infinity is among them
    tau = static_cast<float>((total - 1.0) / static_cast<double>(support));
  }
  over_vectors(n, [&](std::int64_t i, auto lanes) {
    lanes.write(w + i, max(zero(), sub(lanes.read(w + i), broadcast(tau))));  // NaN stays
  });
}

inline void hardmax_row(std::int64_t n, const float* x, float* w) {
  const float largest = block_max(x, n);
  if (largest == -std::numeric_limits<float>::infinity()) return nothing_seen(n, x, w);
  const std::int64_t first = std::find(x, x + n, largest) - x;
  std::fill(w, w + n, 0.0f);
  w[first] = 1.0f;
}

void normalise_row(Normaliser normaliser, float temperature, std::int64_t n, const float* x, float* w) {
  if (normaliser == Normaliser::softmax) return softmax_row(temperature, n, x, w);
  if (normaliser == Normaliser::sparsemax) return sparsemax_row(temperature, n, x, w);
  hardmax_row(n, x, w);
}

inline void softmax_row_backward(float temperature, std::int64_t n, const float* w, const float* d_w, float* d_x) {
  const double mean = sum_by_stretches(n, [&](std::int64_t i, auto lanes) {
    const Floats weight = lanes.read(w + i);
    return select_greater(weight, zero(), mul(weight, lanes.read(d_w + i)), weight);
  });
  const Floats centre = broadcast(static_cast<float>(mean)), rate = broadcast(1.0f / temperature);
  over_vectors(n, [&](std::int64_t i, auto lanes) {
    const Floats weight = lanes.read(w + i);
    const Floats slope = mul(mul(weight, rate), sub(lanes.read(d_w + i), centre));
    lanes.write(d_x + i, select_greater(weight, zero(), slope, weight));
  });
}

inline void sparsemax_row_backward(float temperature, std::int64_t n, const float* w, const float* d_w, float* d_x) {
  std::int64_t support = 0;
  const double total = sum_by_stretches(n, [&](std::int64_t i, auto lanes) {
    const Floats weight = lanes.read(w + i);
    support += std::popcount(greater(weight, zero()));
    return select_greater(weight, zero(), lanes.read(d_w + i), zero());
  });
  const Floats mean = broadcast(static_cast<float>(total / static_cast<double>(std::max<std::int64_t>(support, 1))));
  const Floats rate = broadcast(1.0f / temperature);
  over_vectors(n, [&](std::int64_t i, auto lanes) {
    const Floats slope = mul(rate, sub(lanes.read(d_w + i), mean));
    lanes.write(d_x + i, select_greater(lanes.read(w + i), zero(), slope, zero()));
  });
}

void normalise_row_backward(Normaliser normaliser, float temperature, std::int64_t n, const float* w, const float* d_w,
                            float* d_x) {
  if (normaliser == Normaliser::sparsemax) return sparsemax_row_backward(temperature, n, w, d_w, d_x);
  softmax_row_backward(temperature, n, w, d_w, d_x);
}
