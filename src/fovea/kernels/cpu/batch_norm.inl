// Included once per instruction set: see for_each_isa.h.

void add_differences(const BatchNormRows<float>& a, bool square, std::int64_t begin, std::int64_t end, float* sums) {
  for (std::int64_t m = begin; m < end; ++m) {
    const float* x = a.x + m * a.C;
    over_vectors(a.C, [&](std::int64_t c, auto lanes) {
      const Floats d = a.mean ? sub(lanes.read(x + c), lanes.read(a.mean + c)) : lanes.read(x + c);
      const Floats before = lanes.read(sums + c);
      lanes.write(sums + c, square ? fma(d, d, before) : add(before, d));
    });
  }
}

void batch_norm_forward(const BatchNormRows<float>& a, std::int64_t begin, std::int64_t end) {
  for (std::int64_t m = begin; m < end; ++m) {
    const float* x = a.x + m * a.C;
    over_vectors(a.C, [&](std::int64_t c, auto lanes) {
      const Floats h = mul(sub(lanes.read(x + c), lanes.read(a.mean + c)), lanes.read(a.rstd + c));
      lanes.write(a.out + m * a.C + c, fma(h, lanes.read(a.gamma + c), lanes.read(a.beta + c)));
    });
  }
}

void batch_norm_sums(const BatchNormRows<float>& a, std::int64_t begin, std::int64_t end, float* sums) {
  for (std::int64_t m = begin; m < end; ++m) {
    const float *x = a.x + m * a.C, *d_y = a.d_y + m * a.C;
    over_vectors(a.C, [&](std::int64_t c, auto lanes) {
      const Floats h = mul(sub(lanes.read(x + c), lanes.read(a.mean + c)), lanes.read(a.rstd + c));
      const Floats d = lanes.read(d_y + c);
      lanes.write(sums + c, fma(d, h, lanes.read(sums + c)));
      lanes.write(sums + a.C + c, add(d, lanes.read(sums + a.C + c)));
    });
  }
}

void batch_norm_backward(const BatchNormRows<float>& a, std::int64_t begin, std::int64_t end) {
  for (std::int64_t m = begin; m < end; ++m) {
    const float *x = a.x + m * a.C, *d_y = a.d_y + m * a.C;
    over_vectors(a.C, [&](std::int64_t c, auto lanes) {
      const Floats rstd = lanes.read(a.rstd + c);
      Floats d = lanes.read(d_y + c);
      if (a.shares) {
        const Floats h = mul(sub(lanes.read(x + c), lanes.read(a.mean + c)), rstd);
        d = fnma(h, lanes.read(a.shares + c), sub(d, lanes.read(a.shares + a.C + c)));
      }
      lanes.write(a.out + m * a.C + c, mul(mul(lanes.read(a.gamma + c), rstd), d));
    });
  }
}
