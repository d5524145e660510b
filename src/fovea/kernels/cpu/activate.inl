// The activation of a vector, for the rows and for the epilogue of the matrix product alike; over functions.h.
// Included once per instruction set: see for_each_isa.h.

template <Activation activation>
inline Floats activate(Floats x) {
  if constexpr (activation == Activation::relu) return max(zero(), x);
  if constexpr (activation == Activation::gelu) return mul(x, normal_law(x).cdf);
  if constexpr (activation == Activation::silu) return mul(x, sigmoid(x));
  if constexpr (activation == Activation::tanh) return tanh(x);
  return x;
}
