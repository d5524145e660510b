// Included once per instruction set: see for_each_isa.h.

/// What would be less than a normal float is 0: products with such are slow, and a hidden key's p must be 0.
void sigmoid_row(std::int64_t n, const float* x, float* p) {
  over_vectors(n, [&](std::int64_t i, auto lanes) {
    const Floats y = sigmoid(lanes.read(x + i));
    lanes.write(p + i, where_below(y, std::numeric_limits<float>::min(), zero(), y));
  });
}

/// d_x = d_p p (1 - p); in place allowed.
void sigmoid_row_backward(std::int64_t n, const float* p, const float* d_p, float* d_x) {
  over_vectors(n, [&](std::int64_t i, auto lanes) {
    const Floats y = lanes.read(p + i);
    lanes.write(d_x + i, mul(lanes.read(d_p + i), mul(y, sub(broadcast(1.0f), y))));
  });
}
