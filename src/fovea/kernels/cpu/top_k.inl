// Included once per instruction set: see for_each_isa.h.
// A block goes by three times while it is in the first cache: its largest element, the sum of exponentials, and, if that
// largest element can enter the selection, a comparison of each vector with the k-th best, which rarely finds anything.

/// Vectors of a block, -infinity where a column is not allowed or not there.
template <bool restricted>
struct BlockLanes {
  const float* x;
  const std::uint64_t* allowed;

  template <class Lanes>
  Floats read(std::int64_t i, const Lanes& lanes) const {
    const Floats nothing = broadcast(-std::numeric_limits<float>::infinity()), v = lanes.read(x + i, nothing);
    if constexpr (!restricted) return v;
    return keep_lanes(static_cast<unsigned>(allowed[i / 64] >> (i % 64)), v, nothing);
  }
};

template <bool restricted>
inline BlockSum scan_lanes(const BlockLanes<restricted>& block, std::int64_t count, std::int32_t first,
                           TopKSelection& best) {
  BlockSum total;
  Floats largest = broadcast(total.max);
  over_vectors(count, [&](std::int64_t i, auto lanes) { largest = max(block.read(i, lanes), largest); });
  total.max = max_of(largest);
  const Floats top = broadcast(total.max), log2_e = broadcast(1.44269504f);
  Floats sums = zero();
  over_vectors(count, [&](std::int64_t i, auto lanes) {
    sums = add(sums, exp2(mul(sub(block.read(i, lanes), top), log2_e)));
  });
  total.sum = sum(sums);
  if (!(total.max > best.threshold())) return total;
  over_vectors(count, [&](std::int64_t i, auto lanes) {
    unsigned bits = greater(block.read(i, lanes), broadcast(best.threshold()));
    for (; bits != 0; bits &= bits - 1) {
      const std::int64_t column = i + __builtin_ctz(bits);
      if (block.x[column] > best.threshold())
        best.insert(block.x[column], first + static_cast<std::int32_t>(column));
    }
  });
  return total;
}

BlockSum scan_block(const float* logits, std::int64_t count, const std::uint64_t* allowed, std::int32_t first,
                    TopKSelection& best) {
  if (allowed) return scan_lanes(BlockLanes<true>{logits, allowed}, count, first, best);
  return scan_lanes(BlockLanes<false>{logits, nullptr}, count, first, best);
}
