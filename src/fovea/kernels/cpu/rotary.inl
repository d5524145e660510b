// Included once per instruction set: see for_each_isa.h.

/// One head whose pairs lie half a width apart.
inline void rotate_halves(std::int64_t half, bool inverse, const float* cos, const float* sin, const float* x,
                          float* y) {
  over_vectors(half, [&](std::int64_t e, auto lanes) {
    const Floats a = lanes.read(x + e), b = lanes.read(x + half + e), c = lanes.read(cos + e);
    const Floats s = inverse ? sub(zero(), lanes.read(sin + e)) : lanes.read(sin + e);
    lanes.write(y + e, fnma(b, s, mul(a, c)));
    lanes.write(y + half + e, fma(a, s, mul(b, c)));
  });
}

/// One head, or a stretch of it, whose pairs are neighbours: y = x cos + swapped(x) (-sin, sin, -sin, ...), the angles
/// spread over both elements of their pair.
inline void rotate_pairs(std::int64_t count, const float* cos, const float* sin, const float* x, float* y) {
  over_vectors(count, [&](std::int64_t i, auto lanes) {
    const Floats v = lanes.read(x + i);
    lanes.write(y + i, fma(swap_pairs(v), lanes.read(sin + i), mul(v, lanes.read(cos + i))));
  });
}

inline void rotate_row_of_pairs(const RotaryRows<float>& a, std::int64_t n) {
  constexpr std::int64_t stretch = 256;
  alignas(64) float cos[stretch], sin[stretch];
  const std::int64_t width_of_head = a.extents.width, angles = a.position[n] * (width_of_head / 2);
  const float sign = a.extents.inverse ? -1.0f : 1.0f;
  for (std::int64_t first = 0; first < width_of_head; first += stretch) {
    const std::int64_t count = std::min(stretch, width_of_head - first);
    for (std::int64_t i = 0; i < count; i += 2) {
      const std::int64_t angle = angles + (first + i) / 2;
      cos[i] = cos[i + 1] = a.cos[angle];
      sin[i + 1] = sign * a.sin[angle];
      sin[i] = -sin[i + 1];
    }
    for (std::int64_t h = 0; h < a.extents.heads; ++h) {
      const std::int64_t at = n * a.extents.row + h * a.extents.head + first;
      rotate_pairs(count, cos, sin, a.x + at, a.y + at);
    }
  }
}

void rotary(const RotaryRows<float>& a, std::int64_t begin, std::int64_t end) {
  const std::int64_t half = a.extents.width / 2;
  for (std::int64_t n = begin; n < end; ++n) {
    if (a.extents.interleaved) {
      rotate_row_of_pairs(a, n);
      continue;
    }
    const float *cos = a.cos + a.position[n] * half, *sin = a.sin + a.position[n] * half;
    for (std::int64_t h = 0; h < a.extents.heads; ++h) {
      const std::int64_t at = n * a.extents.row + h * a.extents.head;
      rotate_halves(half, a.extents.inverse, cos, sin, a.x + at, a.y + at);
    }
  }
}
