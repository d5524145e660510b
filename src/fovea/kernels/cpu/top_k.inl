// Included once per instruction set: see for_each_isa.h.
// A row goes by in blocks that fit L1: the largest element, the sum of exponentials, and, if that largest element can
// enter the selection, a comparison of each vector with the k-th best so far, which rarely finds anything.

inline void offer_block(const float* x, std::int64_t begin, std::int64_t count, TopKSelection& best) {
  const Floats nothing = broadcast(-std::numeric_limits<float>::infinity());
  over_vectors(count, [&](std::int64_t i, auto lanes) {
    unsigned bits = greater(lanes.read(x + begin + i, nothing), broadcast(best.threshold()));
    for (; bits != 0; bits &= bits - 1) {
      const std::int64_t v = begin + i + __builtin_ctz(bits);
      if (x[v] > best.threshold()) best.insert(x[v], static_cast<std::int32_t>(v));
    }
  });
}

/// Elements begin .. end - 1 of row x, none of which is banned.
inline void scan(const float* x, std::int64_t begin, std::int64_t end, RunningSum& total, TopKSelection& best) {
  constexpr std::int64_t length = 1024;
  const Floats nothing = broadcast(-std::numeric_limits<float>::infinity());
  for (; begin < end; begin += length) {
    const std::int64_t count = std::min(length, end - begin);
    const float largest = block_max(x + begin, count);
    total.raise(largest);
    const Floats shift = broadcast(total.max);
    Floats exponentials = zero();
    over_vectors(count, [&](std::int64_t i, auto lanes) {
      exponentials = add(exponentials, exp(sub(lanes.read(x + begin + i, nothing), shift)));
    });
    total.sum += sum(exponentials);
    if (largest > best.threshold()) offer_block(x, begin, count, best);
  }
}

void top_k_log_softmax(const TopK& a, std::int64_t begin, std::int64_t end) {
  for (std::int64_t n = begin; n < end; ++n) {
    const float* x = a.logits + n * a.V;
    RunningSum total;
    TopKSelection best(a.k);
    std::int64_t from = 0;
    for (std::int64_t b = 0; b < a.banned_count; ++b) {
      scan(x, from, a.banned[b], total, best);
      from = a.banned[b] + 1;
    }
    scan(x, from, a.V, total, best);
    best.fill(a, x);
    best.write(a, n, total.log());
  }
}
