// Included once per instruction set: see for_each_isa.h. A row of a step; formulas: kernels/recurrent.h.

void gru_row(const CellRow<float>& a) {
  const std::int64_t H = a.H;
  const float *x_r = a.x, *x_z = x_r + H, *x_n = x_z + H, *u_r = a.u, *u_z = u_r + H, *u_n = u_z + H;
  over_vectors(H, [&](std::int64_t j, auto lanes) {
    const Floats r = sigmoid(add(lanes.read(x_r + j), lanes.read(u_r + j)));
    const Floats z = sigmoid(add(lanes.read(x_z + j), lanes.read(u_z + j)));
    const Floats u = lanes.read(u_n + j), n = tanh(fma(r, u, lanes.read(x_n + j)));
    if (a.gates) {
      lanes.write(a.gates + j, r);
      lanes.write(a.gates + H + j, z);
      lanes.write(a.gates + 2 * H + j, n);
      lanes.write(a.u_n + j, u);
    }
    lanes.write(a.h + j, fma(z, sub(lanes.read(a.h_previous + j), n), n));
  });
}

void lstm_row(const CellRow<float>& a) {
  const std::int64_t H = a.H;
  over_vectors(H, [&](std::int64_t j, auto lanes) {
    const auto sum = [&](std::int64_t gate) {
      return add(lanes.read(a.x + gate * H + j), lanes.read(a.u + gate * H + j));
    };
    const Floats i = sigmoid(sum(0)), f = sigmoid(sum(1)), g = tanh(sum(2)), o = sigmoid(sum(3));
    const Floats c = fma(f, lanes.read(a.c_previous + j), mul(i, g));
    if (a.gates) {
      lanes.write(a.gates + j, i);
      lanes.write(a.gates + H + j, f);
      lanes.write(a.gates + 2 * H + j, g);
      lanes.write(a.gates + 3 * H + j, o);
    }
    lanes.write(a.c + j, c);
    lanes.write(a.h + j, mul(o, tanh(c)));
  });
}

/// d y (1 - y), what a sigmoid with the value y hands back.
inline Floats through_sigmoid(Floats d, Floats y) { return mul(mul(d, y), sub(broadcast(1.0f), y)); }
/// d (1 - y^2), what a tanh with the value y hands back.
inline Floats through_tanh(Floats d, Floats y) { return mul(d, fnma(y, y, broadcast(1.0f))); }

void gru_row_backward(const CellRowGradient<float>& a) {
  const std::int64_t H = a.H;
  over_vectors(H, [&](std::int64_t j, auto lanes) {
    const Floats r = lanes.read(a.gates + j), z = lanes.read(a.gates + H + j),
                 n = lanes.read(a.gates + 2 * H + j);
    const Floats d_h = lanes.read(a.d_h + j), u_n = lanes.read(a.u_n + j);
    const Floats d_n = through_tanh(fnma(d_h, z, d_h), n), d_r = through_sigmoid(mul(d_n, u_n), r);
    const Floats d_z = through_sigmoid(mul(d_h, sub(lanes.read(a.h_previous + j), n)), z);
    lanes.write(a.d_x + j, d_r);
    lanes.write(a.d_x + H + j, d_z);
    lanes.write(a.d_x + 2 * H + j, d_n);
    lanes.write(a.d_u + j, d_r);
    lanes.write(a.d_u + H + j, d_z);
    lanes.write(a.d_u + 2 * H + j, mul(d_n, r));
    lanes.write(a.d_carried + j, mul(d_h, z));
  });
}

void lstm_row_backward(const CellRowGradient<float>& a) {
  const std::int64_t H = a.H;
  over_vectors(H, [&](std::int64_t j, auto lanes) {
    const auto gate = [&](std::int64_t k) { return lanes.read(a.gates + k * H + j); };
    const Floats i = gate(0), f = gate(1), g = gate(2), o = gate(3), tanh_c = tanh(lanes.read(a.c + j));
    const Floats d_h = lanes.read(a.d_h + j);
    const Floats d_c = add(lanes.read(a.d_c + j), through_tanh(mul(d_h, o), tanh_c));
    const Floats d[4] = {through_sigmoid(mul(d_c, g), i),
                         through_sigmoid(mul(d_c, lanes.read(a.c_previous + j)), f),
                         through_tanh(mul(d_c, i), g), through_sigmoid(mul(d_h, tanh_c), o)};
    for (std::int64_t k = 0; k < 4; ++k) lanes.write(a.d_x + k * H + j, d[k]);
    lanes.write(a.d_c + j, mul(d_c, f));
  });
}

void add_to_row(std::int64_t H, const float* x, float* y) {
  over_vectors(
      H, [&](std::int64_t j, auto lanes) { lanes.write(y + j, add(lanes.read(y + j), lanes.read(x + j))); });
}

void multiply_row(std::int64_t H, const float* x, const float* by, float* y) {
  over_vectors(
      H, [&](std::int64_t j, auto lanes) { lanes.write(y + j, mul(lanes.read(x + j), lanes.read(by + j))); });
}
