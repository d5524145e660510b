// Included once per instruction set: see for_each_isa.h.

#include "fovea/kernels/cpu/activate.inl"

/// A stretch whose multipliers fit in L1: `multipliers` is null without dropout.
template <Activation activation>
inline void activate_stretch(std::int64_t count, const float* multipliers, const float* pre, float* out) {
  over_vectors(count, [&](std::int64_t i, auto lanes) {
    const Floats y = activate<activation>(lanes.read(pre + i));
    lanes.write(out + i, multipliers ? mul(y, lanes.read(multipliers + i)) : y);
  });
}

template <Activation activation>
inline void chain_stretch(std::int64_t count, const float* multipliers, const float* pre, const float* d_out,
                          float* d_pre) {
  over_vectors(count, [&](std::int64_t i, auto lanes) {
    const Floats d = lanes.read(d_out + i);
    lanes.write(d_pre + i, chain<activation>(lanes.read(pre + i), multipliers ? mul(d, lanes.read(multipliers + i)) : d));
  });
}

/// Calls body(offset, count, multipliers) for stretches of elements begin .. end - 1.
template <class Body>
inline void over_stretches(const Dropout& dropout, std::int64_t begin, std::int64_t end, const Body& body) {
  constexpr std::int64_t stretch = 1024;
  alignas(64) float multipliers[stretch];
  for (std::int64_t i = begin; i < end; i += stretch) {
    const std::int64_t count = std::min(stretch, end - i);
    if (dropout.active()) dropout_multipliers(dropout, static_cast<std::uint64_t>(i), count, multipliers);
    body(i, count, dropout.active() ? multipliers : nullptr);
  }
}

template <Activation activation>
inline void activation_forward_of(const ActivationForward<float>& a, std::int64_t begin, std::int64_t end) {
  over_stretches(a.dropout, begin, end, [&](std::int64_t i, std::int64_t count, const float* multipliers) {
    activate_stretch<activation>(count, multipliers, a.pre + i, a.out + i);
  });
}

template <Activation activation>
inline void activation_backward_of(const ActivationBackward<float>& a, std::int64_t begin, std::int64_t end) {
  over_stretches(a.dropout, begin, end, [&](std::int64_t i, std::int64_t count, const float* multipliers) {
    chain_stretch<activation>(count, multipliers, a.pre + i, a.d_out + i, a.d_pre + i);
  });
}

void activation_forward(const ActivationForward<float>& a, std::int64_t begin, std::int64_t end) {
  with_activation(a.activation, [&]<Activation activation> { activation_forward_of<activation>(a, begin, end); });
}

void activation_backward(const ActivationBackward<float>& a, std::int64_t begin, std::int64_t end) {
  with_activation(a.activation, [&]<Activation activation> { activation_backward_of<activation>(a, begin, end); });
}
