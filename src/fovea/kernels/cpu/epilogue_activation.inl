// Activations of a vector, included once per instruction set inside its namespace (for_each_isa.h).
// Errors are below 1e-6 max(1, |x|); NaN stays NaN.

// x Phi(x) = max(x, 0) - |x| Q(|x|), Q(z) = erfc(z / sqrt 2) / 2. erfc: Abramowitz and Stegun 7.1.26, error
// below 1.5e-7; the tail Q is small where the result is, so nothing cancels. Beyond 20 the clamp keeps
// infinity * 0 away.
inline Floats gelu(Floats x) {
  const Floats size = min(max(x, sub(zero(), x)), broadcast(20.0f));
  const Floats z = mul(size, broadcast(0.70710678f));
  const Floats t = div(broadcast(1.0f), fma(z, broadcast(0.3275911f), broadcast(1.0f)));
  Floats y = broadcast(0.5f * 1.061405429f);
  y = fma(y, t, broadcast(0.5f * -1.453152027f));
  y = fma(y, t, broadcast(0.5f * 1.421413741f));
  y = fma(y, t, broadcast(0.5f * -0.284496736f));
  y = fma(y, t, broadcast(0.5f * 0.254829592f));
  const Floats tail = mul(mul(y, t), exp(mul(z, sub(zero(), z))));
  return fnma(size, tail, max(zero(), x));
}

inline Floats silu(Floats x) { return div(x, add(broadcast(1.0f), exp(sub(zero(), x)))); }

// Small |x|: Cephes' odd polynomial, which keeps the relative error (and NaN); else 1 - 2 / (e^2x + 1).
inline Floats tanh(Floats x) {
  const Floats square = mul(x, x);
  Floats y = broadcast(-5.70498872745e-3f);
  y = fma(y, square, broadcast(2.06390887954e-2f));
  y = fma(y, square, broadcast(-5.37397155531e-2f));
  y = fma(y, square, broadcast(1.33314422036e-1f));
  y = fma(y, square, broadcast(-3.33332819422e-1f));
  const Floats small = fma(mul(y, square), x, x);
  const Floats e = exp(add(x, x));
  const Floats large = sub(broadcast(1.0f), div(broadcast(2.0f), add(e, broadcast(1.0f))));
  const Floats beyond = where_below(sub(zero(), square), -0.390625f, large, small);  // |x| > 0.625
  return beyond;
}

template <Activation activation>
inline Floats activate(Floats x) {
  if constexpr (activation == Activation::relu) return max(zero(), x);
  if constexpr (activation == Activation::gelu) return gelu(x);
  if constexpr (activation == Activation::silu) return silu(x);
  if constexpr (activation == Activation::tanh) return tanh(x);
  return x;
}
