// Included once per instruction set: see for_each_isa.h.

inline float block_max(const float* x, std::int64_t count) {
  const Floats nothing = broadcast(-std::numeric_limits<float>::infinity());
  Floats largest = nothing;
  over_vectors(count, [&](std::int64_t i, auto lanes) { largest = max(lanes.read(x + i, nothing), largest); });
  return max_of(largest);
}
