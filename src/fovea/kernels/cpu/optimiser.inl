// Included once per instruction set: see for_each_isa.h.

/// The numbers of an AdamStep as one element needs them, from arithmetic in double.
struct AdamFactors {
  Floats gradient_scale, coupled_decay, beta1, rest1, beta2, rest2, corrected_rate, correction2, eps, shrink;
};

inline AdamFactors factors_of(const AdamStep& s) {
  const auto all = [](double x) { return broadcast(static_cast<float>(x)); };
  const double t = static_cast<double>(s.t);
  return {.gradient_scale = all(s.gradient_scale),
          .coupled_decay = all(s.decoupled ? 0.0 : s.weight_decay),
          .beta1 = all(s.beta1),
          .rest1 = all(1.0 - s.beta1),
          .beta2 = all(s.beta2),
          .rest2 = all(1.0 - s.beta2),
          .corrected_rate = all(s.rate / (1.0 - std::pow(static_cast<double>(s.beta1), t))),
          .correction2 = all(1.0 / (1.0 - std::pow(static_cast<double>(s.beta2), t))),
          .eps = all(s.eps),
          .shrink = all(s.decoupled ? static_cast<double>(s.rate) * s.weight_decay : 0.0)};
}

void adam(const Adam<float>& a, std::int64_t begin, std::int64_t end) {
  const AdamFactors f = factors_of(a.step);
  const Floats decay = broadcast(a.step.average_decay), fresh = broadcast(1.0f - a.step.average_decay);
  over_vectors(end - begin, [&](std::int64_t offset, auto lanes) {
    const std::int64_t i = begin + offset;
    const Floats w = lanes.read(a.weights + i);
    const Floats g = fma(f.coupled_decay, w, mul(f.gradient_scale, lanes.read(a.gradient + i)));
    const Floats m = fma(f.beta1, lanes.read(a.m + i), mul(f.rest1, g));
    const Floats v = fma(f.beta2, lanes.read(a.v + i), mul(mul(f.rest2, g), g));
    const Floats step = div(mul(f.corrected_rate, m), add(sqrt(mul(v, f.correction2)), f.eps));
    const Floats updated = sub(w, fma(f.shrink, w, step));
    lanes.write(a.m + i, m);
    lanes.write(a.v + i, v);
    lanes.write(a.weights + i, updated);
    if (a.average) lanes.write(a.average + i, fma(decay, lanes.read(a.average + i), mul(fresh, updated)));
  });
}

/// Sixteen sums in double whatever the instruction set: equal bits on all of them.
double block_squares(const float* x, std::int64_t count) {
  double sums[16] = {};
  std::int64_t i = 0;
  for (; i + 16 <= count; i += 16)
    for (int lane = 0; lane < 16; ++lane) sums[lane] += static_cast<double>(x[i + lane]) * x[i + lane];
  for (; i < count; ++i) sums[i % 16] += static_cast<double>(x[i]) * x[i];
  double total = 0;
  for (const double part : sums) total += part;
  return total;
}
