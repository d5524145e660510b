#include "fovea/kernels/reference/attention_bf16.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "fovea/kernels/reference/attention.h"

namespace fovea::kernels::reference {
namespace {

// An operand's rows of `heads` heads of `width` elements: those that sequences own.
struct Operand {
  const AttentionExtents& x;
  HeadStrides strides;
  std::int64_t heads, width;
  const std::int64_t *start, *count;
  bool by_index;  // keys that key_rows names

  // body(offset of a head's first element)
  template <class Body>
  void for_each_head(const Body& body) const {
    for (std::int64_t b = 0; b < x.sequences; ++b)
      for (std::int64_t r = start[b]; r < start[b] + count[b]; ++r)
        for (std::int64_t h = 0; h < heads; ++h)
          body((by_index ? x.key_rows[r] : r) * strides.row + h * strides.head);
  }

  std::vector<float> zeros() const {
    std::int64_t size = 0;
    for_each_head([&](std::int64_t at) { size = std::max(size, at + width); });
    return std::vector<float>(static_cast<std::size_t>(size));
  }
  std::vector<float> widened(const bfloat16* from) const {
    std::vector<float> to = zeros();
    for_each_head([&](std::int64_t at) {
      for (std::int64_t e = at; e < at + width; ++e)
        to[static_cast<std::size_t>(e)] = static_cast<float>(from[e]);
    });
    return to;
  }
  void round(const std::vector<float>& from, bfloat16* to) const {
    for_each_head([&](std::int64_t at) {
      for (std::int64_t e = at; e < at + width; ++e) to[e] = bfloat16(from[static_cast<std::size_t>(e)]);
    });
  }
};

struct Operands {
  Operand q, k, v, out;
  explicit Operands(const AttentionExtents& x)
      : q{x, x.q, x.heads, x.key_width, x.q_start, x.q_count, false},
        k{x, x.k, x.kv_heads, x.key_width, x.k_start, x.k_count, x.key_rows != nullptr},
        v{x, x.v, x.kv_heads, x.value_width, x.k_start, x.k_count, x.key_rows != nullptr},
        out{x, x.out, x.heads, x.value_width, x.q_start, x.q_count, false} {}
};

}  // namespace

void attention_forward(const AttentionExtents& x, const AttentionInputsBf16& in, bfloat16* out,
                       float* log_sum_exp, std::int64_t lse_stride) {
  const Operands all(x);
  const auto q = all.q.widened(in.q), k = all.k.widened(in.k), v = all.v.widened(in.v);
  auto wide = all.out.zeros();
  attention_forward<float>(x, {q.data(), k.data(), v.data(), in.bias, in.relative, in.sinks}, wide.data(),
                           log_sum_exp, lse_stride);
  all.out.round(wide, out);
}

void attention_backward(const AttentionExtents& x, const AttentionInputsBf16& in, const bfloat16* out,
                        const float* log_sum_exp, std::int64_t lse_stride, const bfloat16* d_out,
                        const AttentionGradientsBf16& d) {
  const Operands all(x);
  const auto q = all.q.widened(in.q), k = all.k.widened(in.k), v = all.v.widened(in.v);
  const auto wide = all.out.widened(out), d_wide = all.out.widened(d_out);
  auto d_q = all.q.zeros(), d_k = all.k.zeros(), d_v = all.v.zeros();
  attention_backward<float>(x, {q.data(), k.data(), v.data(), in.bias, in.relative, in.sinks}, wide.data(),
                            log_sum_exp, lse_stride, d_wide.data(),
                            {d_q.data(), d_k.data(), d_v.data(), d.bias, d.relative, d.sinks});
  all.q.round(d_q, d.q);
  all.k.round(d_k, d.k);
  all.v.round(d_v, d.v);
}

}  // namespace fovea::kernels::reference
