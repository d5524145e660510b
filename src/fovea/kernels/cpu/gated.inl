// Included once per instruction set: see for_each_isa.h.

#include "fovea/kernels/cpu/activate.inl"

template <Activation activation>
inline void gated_forward_row(std::int64_t F, const float* gate, float* out) {
  over_vectors(F, [&](std::int64_t f, auto lanes) {
    lanes.write(out + f, mul(activate<activation>(lanes.read(gate + f)), lanes.read(gate + F + f)));
  });
}

template <Activation activation>
inline void gated_backward_row(std::int64_t F, const float* gate, const float* d_out, float* d_gate) {
  over_vectors(F, [&](std::int64_t f, auto lanes) {
    const Floats x = lanes.read(gate + f), up = lanes.read(gate + F + f), d = lanes.read(d_out + f);
    lanes.write(d_gate + f, chain<activation>(x, mul(d, up)));
    lanes.write(d_gate + F + f, mul(d, activate<activation>(x)));
  });
}

void gated_forward(const GatedForward<float>& a, std::int64_t begin, std::int64_t end) {
  const std::int64_t F = a.extents.F;
  with_activation(a.extents.activation, [&]<Activation activation> {
    for (std::int64_t n = begin; n < end; ++n)
      gated_forward_row<activation>(F, a.gate_up + n * 2 * F, a.out + n * F);
  });
}

void gated_backward(const GatedBackward<float>& a, std::int64_t begin, std::int64_t end) {
  const std::int64_t F = a.extents.F;
  with_activation(a.extents.activation, [&]<Activation activation> {
    for (std::int64_t n = begin; n < end; ++n)
      gated_backward_row<activation>(F, a.gate_up + n * 2 * F, a.d_out + n * F, a.d_gate_up + n * 2 * F);
  });
}
