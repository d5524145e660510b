// The activation of a vector, for the rows and for the epilogue of the matrix product alike; over functions.h.
// Included once per instruction set: see for_each_isa.h.

/// gelu_tanh by 1 + tanh u = 2 sigmoid(2u). Where the cubic would leave the range of floats its sigmoid has long been 0 or 1.
struct TanhLaw {
  Floats cdf, slope;  ///< sigmoid(2u) and d(2u)/dx
};
inline TanhLaw tanh_law(Floats x) {
  const Floats z = min(broadcast(20.0f), max(broadcast(-20.0f), x)), square = mul(z, z);
  const Floats twice = broadcast(1.5957691216f);  // 2 sqrt(2/pi)
  const Floats u = mul(mul(twice, z), fma(square, broadcast(0.044715f), broadcast(1.0f)));
  return {sigmoid(u), mul(twice, fma(square, broadcast(0.134145f), broadcast(1.0f)))};
}
inline Floats quick_sigmoid(Floats x) { return sigmoid(mul(x, broadcast(1.702f))); }

template <Activation activation>
inline Floats activate(Floats x) {
  if constexpr (activation == Activation::relu) return max(zero(), x);
  if constexpr (activation == Activation::gelu) return mul(x, normal_law(x).cdf);
  if constexpr (activation == Activation::silu) return mul(x, sigmoid(x));
  if constexpr (activation == Activation::tanh) return tanh(x);
  if constexpr (activation == Activation::gelu_tanh) return mul(x, tanh_law(x).cdf);
  if constexpr (activation == Activation::gelu_quick) return mul(x, quick_sigmoid(x));
  return x;
}

/// derivative of the activation at x, times d.
template <Activation activation>
inline Floats chain(Floats x, Floats d) {
  const Floats one = broadcast(1.0f);
  if constexpr (activation == Activation::relu)
    return zero_below(d, x, std::numeric_limits<float>::denorm_min());  // 0 where x <= 0
  if constexpr (activation == Activation::gelu) {
    const NormalLaw law = normal_law(x);
    return mul(d, fma(x, law.density, law.cdf));
  }
  if constexpr (activation == Activation::silu) {
    const Floats s = sigmoid(x);
    return mul(d, mul(s, fma(x, sub(one, s), one)));
  }
  if constexpr (activation == Activation::tanh) {
    const Floats y = tanh(x);
    return mul(d, fnma(y, y, one));
  }
  if constexpr (activation == Activation::gelu_tanh) {
    const TanhLaw law = tanh_law(x);
    const Floats fall = mul(sub(one, law.cdf), law.slope);
    return mul(d, mul(law.cdf, fma(x, fall, one)));
  }
  if constexpr (activation == Activation::gelu_quick) {
    const Floats s = quick_sigmoid(x);
    return mul(d, mul(s, fma(mul(x, broadcast(1.702f)), sub(one, s), one)));
  }
  return d;
}

/// Calls body.operator()<activation>() for the activation that is meant.
template <class Body>
inline void with_activation(Activation activation, const Body& body) {
  switch (activation) {
    case Activation::identity: return body.template operator()<Activation::identity>();
    case Activation::relu: return body.template operator()<Activation::relu>();
    case Activation::gelu: return body.template operator()<Activation::gelu>();
    case Activation::silu: return body.template operator()<Activation::silu>();
    case Activation::tanh: return body.template operator()<Activation::tanh>();
    case Activation::gelu_tanh: return body.template operator()<Activation::gelu_tanh>();
    case Activation::gelu_quick: return body.template operator()<Activation::gelu_quick>();
  }
}
