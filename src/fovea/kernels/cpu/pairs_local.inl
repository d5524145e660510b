// Included once per instruction set: see for_each_isa.h.

inline Floats gaussian(Floats distance, float sigma) {
  return exp(mul(mul(distance, distance), broadcast(-0.5f / (sigma * sigma))));
}

/// keys: 0, 1, 2, ... as floats.
void gaussian_row(std::int64_t S, const float* keys, float centre, float sigma, const float* w, float* out) {
  over_vectors(S, [&](std::int64_t j, auto lanes) {
    const Floats weight = lanes.read(w + j), g = gaussian(sub(lanes.read(keys + j), broadcast(centre)), sigma);
    lanes.write(out + j, mul(weight, g));
  });
}

/// Returns the row's share of d_centre.
float gaussian_row_backward(std::int64_t S, const float* keys, float centre, float sigma, const float* w,
                            const float* d_out, float* d_w) {
  Floats total = zero();
  over_vectors(S, [&](std::int64_t j, auto lanes) {
    const Floats weight = lanes.read(w + j), distance = sub(lanes.read(keys + j), broadcast(centre));
    const Floats d = mul(lanes.read(d_out + j), gaussian(distance, sigma));
    const Floats share = mul(mul(d, weight), distance);
    const Floats size = max(weight, sub(zero(), weight));
    total = add(total, lanes.keep(select_greater(size, zero(), share, zero())));  // hidden d_out may be NaN
    lanes.write(d_w + j, d);
  });
  return sum(total) / (sigma * sigma);
}
