// Included once per instruction set: see for_each_isa.h.

struct RowSums {
  RunningSum exponentials;
  double logits = 0;
  float running[64];  // max of each block when its exponentials were taken
};

inline std::int64_t block_length(std::int64_t V) { return std::max<std::int64_t>(1024, (V + 1023) / 1024 * 16); }

template <bool keep>
inline void sum_row(float* x, std::int64_t V, RowSums& row) {
  const std::int64_t length = block_length(V);
  const Floats nothing = broadcast(-std::numeric_limits<float>::infinity());
  for (std::int64_t begin = 0; begin < V; begin += length) {
    const std::int64_t count = std::min(length, V - begin);
    row.exponentials.raise(block_max(x + begin, count));
    row.running[begin / length] = row.exponentials.max;
    const Floats largest = broadcast(row.exponentials.max);
    Floats exponentials = zero(), differences = zero();
    over_vectors(count, [&](std::int64_t i, auto lanes) {
      const Floats below = sub(lanes.read(x + begin + i, nothing), largest);
      const Floats e = exp(below);
      exponentials = add(exponentials, e);
      differences = add(differences, lanes.keep(below));
      if constexpr (keep) lanes.write(x + begin + i, e);
    });
    row.exponentials.sum += sum(exponentials);
    row.logits += sum(differences) + static_cast<double>(row.exponentials.max) * static_cast<double>(count);
  }
}

inline void scale_row(float* x, std::int64_t V, const RowSums& row, double scale, double less) {
  const std::int64_t length = block_length(V);
  const Floats rest = broadcast(static_cast<float>(-less));
  for (std::int64_t begin = 0; begin < V; begin += length) {
    const double relative = std::exp(static_cast<double>(row.running[begin / length]) - row.exponentials.max);
    const Floats factor = broadcast(static_cast<float>(scale * relative / row.exponentials.sum));
    over_vectors(std::min(length, V - begin), [&](std::int64_t i, auto lanes) {
      lanes.write(x + begin + i, fma(lanes.read(x + begin + i), factor, rest));
    });
  }
}
