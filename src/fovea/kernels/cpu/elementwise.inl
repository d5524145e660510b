// Included once per instruction set: see for_each_isa.h.

void unary_forward(const UnaryForward<float>& a, std::int64_t begin, std::int64_t end) {
  const float *x = a.x + begin;
  float* y = a.y + begin;
  if (a.f == Unary::sigmoid)
    return over_vectors(end - begin, [&](std::int64_t i, auto lanes) { lanes.write(y + i, sigmoid(lanes.read(x + i))); });
  const Floats floor = broadcast(root_floor);
  over_vectors(end - begin, [&](std::int64_t i, auto lanes) { lanes.write(y + i, sqrt(max(floor, lanes.read(x + i)))); });
}

void unary_backward(const UnaryBackward<float>& a, std::int64_t begin, std::int64_t end) {
  const float *y = a.y + begin, *d_y = a.d_y + begin;
  float* d_x = a.d_x + begin;
  const Floats one = broadcast(1.0f), half = broadcast(0.5f);
  if (a.f == Unary::sigmoid)
    return over_vectors(end - begin, [&](std::int64_t i, auto lanes) {
      const Floats s = lanes.read(y + i);
      lanes.write(d_x + i, mul(mul(lanes.read(d_y + i), s), sub(one, s)));
    });
  const Floats at_floor = broadcast(std::sqrt(root_floor) * (1.0f + 5e-7f));
  over_vectors(end - begin, [&](std::int64_t i, auto lanes) {
    const Floats root = lanes.read(y + i, one);
    lanes.write(d_x + i, select_greater(at_floor, root, zero(), div(mul(half, lanes.read(d_y + i)), root)));
  });
}

/// y = f(a, b) along one row; an operand without a column stride is one number.
template <class F>
inline void row_of(std::int64_t C, const float* a, bool a_runs, const float* b, bool b_runs, float* y, const F& f) {
  const Floats one_a = broadcast(*a), one_b = broadcast(*b);
  if (a_runs && b_runs)
    return over_vectors(C, [&](std::int64_t c, auto lanes) { lanes.write(y + c, f(lanes.read(a + c), lanes.read(b + c))); });
  if (a_runs) return over_vectors(C, [&](std::int64_t c, auto lanes) { lanes.write(y + c, f(lanes.read(a + c), one_b)); });
  if (b_runs) return over_vectors(C, [&](std::int64_t c, auto lanes) { lanes.write(y + c, f(one_a, lanes.read(b + c))); });
  over_vectors(C, [&](std::int64_t c, auto lanes) { lanes.write(y + c, f(one_a, one_b)); });
}

void binary_forward(const BinaryForward<float>& x, std::int64_t begin, std::int64_t end) {
  const std::int64_t P = x.extents.P, C = x.extents.C;
  const auto rows = [&](const auto& f) {
    for (std::int64_t r = begin; r < end; ++r)
      row_of(C, x.a + reference::offset(x.extents.a, r / P, r % P, 0), x.extents.a.column != 0,
             x.b + reference::offset(x.extents.b, r / P, r % P, 0), x.extents.b.column != 0, x.y + r * C, f);
  };
  if (x.op == Binary::add) return rows([](Floats a, Floats b) { return add(a, b); });
  rows([](Floats a, Floats b) { return mul(a, b); });
}

/// d_a += factor(c) * d_y along one row; to one number if a does not run.
template <class Factor>
inline void row_back(std::int64_t C, const float* d_y, bool runs, float* d_a, const Factor& factor) {
  if (runs)
    return over_vectors(C, [&](std::int64_t c, auto lanes) {
      lanes.write(d_a + c, add(lanes.read(d_a + c), factor(c, lanes, lanes.read(d_y + c))));
    });
  Floats total = zero();
  over_vectors(C, [&](std::int64_t c, auto lanes) { total = add(total, lanes.keep(factor(c, lanes, lanes.read(d_y + c)))); });
  *d_a += sum(total);
}

void binary_backward(const BinaryBackward<float>& x, std::int64_t begin, std::int64_t end, float* d_a) {
  const std::int64_t P = x.extents.P, C = x.extents.C;
  const bool runs = x.extents.a.column != 0;
  for (std::int64_t r = begin; r < end; ++r) {
    float* to = d_a + reference::offset(x.extents.a, r / P, r % P, 0);
    const float* d_y = x.d_y + r * C;
    if (x.op == Binary::add) {
      row_back(C, d_y, runs, to, [](std::int64_t, auto, Floats d) { return d; });
      continue;
    }
    const float* b = x.b + reference::offset(x.extents.b, r / P, r % P, 0);
    if (x.extents.b.column)
      row_back(C, d_y, runs, to, [b](std::int64_t c, auto lanes, Floats d) { return mul(d, lanes.read(b + c)); });
    else
      row_back(C, d_y, runs, to, [one = broadcast(*b)](std::int64_t, auto, Floats d) { return mul(d, one); });
  }
}
