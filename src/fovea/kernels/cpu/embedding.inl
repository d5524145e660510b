// Included once per instruction set: see for_each_isa.h.

void embed_forward(const EmbedForward<float>& a, std::int64_t begin, std::int64_t end) {
  const std::int64_t D = a.extents.D;
  const Floats scale = broadcast(a.extents.scale);
  const std::int64_t group = std::max<std::int64_t>(1, 1024 / std::max<std::int64_t>(1, D));  // stays in L1
  for (std::int64_t first = begin; first < end; first += group) {
    const std::int64_t last = std::min(end, first + group);
    for (std::int64_t n = first; n < last; ++n) {
      const float* token = a.table + a.ids[n] * D;
      const float* place = a.positions ? a.positions + a.position[n] * D : nullptr;
      over_vectors(D, [&](std::int64_t d, auto lanes) {
        const Floats x = mul(scale, lanes.read(token + d));
        lanes.write(a.out + n * D + d, place ? add(x, lanes.read(place + d)) : x);
      });
    }
    add_dropped(a.extents.dropout, static_cast<std::uint64_t>(first * D), (last - first) * D, a.out + first * D, nullptr,
                a.out + first * D);
  }
}

inline void embed_backward_row(const EmbedBackward<float>& a, std::int64_t n) {
  constexpr std::int64_t stretch = 1024;
  alignas(64) float m[stretch];
  const std::int64_t D = a.extents.D;
  const Dropout& dropout = a.extents.dropout;
  const Floats scale = broadcast(a.extents.scale);
  const float* d_out = a.d_out + n * D;
  float* d_table = a.d_table + a.rows[n] * D;
  for (std::int64_t begin = 0; begin < D; begin += stretch) {
    const std::int64_t count = std::min(stretch, D - begin);
    if (dropout.active()) dropout_multipliers(dropout, static_cast<std::uint64_t>(n * D + begin), count, m);
    over_vectors(count, [&](std::int64_t i, auto lanes) {
      const Floats d = lanes.read(d_out + begin + i);
      const Floats kept = dropout.active() ? mul(d, lanes.read(m + i)) : d;
      lanes.write(d_table + begin + i, fma(scale, kept, lanes.read(d_table + begin + i)));
    });
  }
}

void embed_backward(const EmbedBackward<float>& a, std::uint32_t part, std::uint32_t parts) {
  for (std::int64_t n = 0; n < a.extents.N; ++n)
    if (static_cast<std::uint32_t>(a.rows[n]) % parts == part) embed_backward_row(a, n);
}
