// Included once per instruction set: see for_each_isa.h. One vector of E elements.

// The largest element first, so that neither large nor small vectors lose their length to the range of
// squares.
inline float length_of(std::int64_t E, const float* x) {
  Floats top = zero();
  over_vectors(E, [&](std::int64_t e, auto lanes) {
    const Floats v = lanes.read(x + e);
    top = max(top, max(sub(zero(), v), v));
  });
  const float largest = max_of(top);
  if (!(largest > 0.0f) || !std::isfinite(largest)) {
    Floats total = zero();  // 0, infinity or NaN
    over_vectors(E, [&](std::int64_t e, auto lanes) {
      const Floats v = lanes.read(x + e);
      total = fma(v, v, total);
    });
    return std::sqrt(sum(total));
  }
  int exponent = 0;
  std::frexp(largest, &exponent);
  const float down = std::ldexp(1.0f, std::clamp(-exponent, -126, 126));
  Floats total = zero();
  over_vectors(E, [&](std::int64_t e, auto lanes) {
    const Floats v = mul(lanes.read(x + e), broadcast(down));
    total = fma(v, v, total);
  });
  return std::sqrt(sum(total)) / down;
}

inline void unit_rows_forward(std::int64_t E, float sharpness, const float* x, float* y, float* length) {
  *length = length_of(E, x);
  // A division an element: sharpness/length may leave the range where x/length does not.
  const Floats by = broadcast(*length > 0.0f ? *length : 1.0f), times = broadcast(sharpness);
  const bool none = *length == 0.0f;
  over_vectors(E, [&](std::int64_t e, auto lanes) {
    lanes.write(y + e, none ? zero() : mul(times, div(lanes.read(x + e), by)));
  });
  if (std::isnan(*length)) std::fill_n(y, E, *length);
}

inline float unit_rows_backward(std::int64_t E, float sharpness, float length, const float* d_y,
                                const float* x, float* d_x) {
  if (length == 0.0f) {
    std::fill_n(d_x, E, 0.0f);
    return 0.0f;
  }
  const Floats by = broadcast(length);
  Floats total = zero();
  over_vectors(E, [&](std::int64_t e, auto lanes) {
    total = fma(div(lanes.read(x + e), by), lanes.read(d_y + e), total);
  });
  const float along = sum(total);
  const Floats times = broadcast(sharpness / length);
  over_vectors(E, [&](std::int64_t e, auto lanes) {
    const Floats u = div(lanes.read(x + e), by);
    lanes.write(d_x + e, mul(times, fnma(u, broadcast(along), lanes.read(d_y + e))));
  });
  return along;
}
