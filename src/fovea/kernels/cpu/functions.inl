// Included once per instruction set: see for_each_isa.h.

inline Floats sigmoid(Floats x) {
  const Floats one = broadcast(1.0f);
  return div(one, add(one, exp(sub(zero(), x))));
}

/// Cephes' tanhf: 1 - 2 / (exp(2|x|) + 1), and below 0.625, where that would cancel, an odd polynomial.
inline Floats tanh(Floats x) {
  const Floats one = broadcast(1.0f), a = max(sub(zero(), x), x), square = mul(a, a);
  const Floats large = fnma(broadcast(2.0f), div(one, add(exp(add(a, a)), one)), one);
  Floats p = fma(square, broadcast(-5.70498872745e-3f), broadcast(2.06390887954e-2f));
  p = fma(p, square, broadcast(-5.37397155531e-2f));
  p = fma(p, square, broadcast(1.33314422036e-1f));
  p = fma(p, square, broadcast(-3.33332819422e-1f));
  const Floats small = fma(mul(p, square), a, a), bound = broadcast(0.625f);
  const Floats y = select_greater(bound, a, small, large);
  return select_greater(zero(), x, sub(zero(), y), y);
}

struct NormalLaw {
  Floats cdf, density;
};

/// cdf(-a) = exp(-a^2/2) t h(t) for a >= 0, t = 1/(1 + 0.35 a): the form of Hastings (Abramowitz and Stegun 7.1.26); h, of
/// degree 8, interpolates erfcx(a/sqrt 2) / (2t) at Chebyshev's nodes of [0, 1], error of the product below 2.3e-8.
inline NormalLaw normal_law(Floats x) {
  const Floats one = broadcast(1.0f);
  const Floats a = max(sub(zero(), x), x);
  const Floats bell = exp(mul(mul(a, a), broadcast(-0.5f)));
  const Floats t = div(one, fma(a, broadcast(0.35f), one));
  Floats h = broadcast(-0.02403806017f);
  h = fma(h, t, broadcast(0.1207009673f));
  h = fma(h, t, broadcast(-0.2114463007f));
  h = fma(h, t, broadcast(0.1136229854f));
  h = fma(h, t, broadcast(0.004336217214f));
  h = fma(h, t, broadcast(0.09571962452f));
  h = fma(h, t, broadcast(0.1218190049f));
  h = fma(h, t, broadcast(0.1396559374f));
  h = fma(h, t, broadcast(0.1396296372f));
  const Floats tail = mul(bell, mul(t, h));
  return {select_greater(x, zero(), sub(one, tail), tail), mul(bell, broadcast(0.398942280f))};
}
