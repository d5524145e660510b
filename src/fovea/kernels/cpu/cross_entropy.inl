// Included once per instruction set: see for_each_isa.h.
// Two passes over a row: the first reads it in blocks that fit L1 and leaves exp(x - running max) in its place if there
// will be a gradient; the second scales that block by block, out of L2.

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

/// x = weight * (softmax - share) from what sum_row<true> left there.
inline void scale_row(float* x, std::int64_t V, const RowSums& row, double weight, double share) {
  const std::int64_t length = block_length(V);
  const Floats rest = broadcast(static_cast<float>(-weight * share));
  for (std::int64_t begin = 0; begin < V; begin += length) {
    const double relative = std::exp(static_cast<double>(row.running[begin / length]) - row.exponentials.max);
    const Floats factor = broadcast(static_cast<float>(weight * relative / row.exponentials.sum));
    over_vectors(std::min(length, V - begin), [&](std::int64_t i, auto lanes) {
      lanes.write(x + begin + i, fma(lanes.read(x + begin + i), factor, rest));
    });
  }
}

void cross_entropy(const CrossEntropy<float>& a, std::int64_t begin, std::int64_t end) {
  const std::int64_t V = a.extents.V;
  const double smoothing = a.extents.smoothing, share = smoothing / static_cast<double>(V);
  for (std::int64_t n = begin; n < end; ++n) {
    float* x = a.logits + n * V;
    const std::int64_t target = a.targets[n];
    const double target_logit = x[target];
    RowSums row;
    a.extents.gradient ? sum_row<true>(x, V, row) : sum_row<false>(x, V, row);
    const double log_sum = std::log(row.exponentials.sum), max = row.exponentials.max;
    const double nll = log_sum + (max - target_logit);
    double loss = (1.0 - smoothing) * nll;
    if (smoothing > 0) loss += smoothing * (log_sum + (max - row.logits / static_cast<double>(V)));
    a.losses[n] = static_cast<float>(loss);
    if (a.nll) a.nll[n] = static_cast<float>(nll);
    if (!a.extents.gradient) continue;
    scale_row(x, V, row, a.extents.weight, share);
    x[target] -= static_cast<float>(a.extents.weight * (1.0 - smoothing));
  }
}
