#include "fovea/kernels/pairs_bias.h"

#include <algorithm>

#include "fovea/kernels/pairs_tasks.h"

namespace fovea::kernels {
namespace {

// The bias of one sequence and head: element of (t,j) at first + t*query + j*key.
struct Block {
  std::int64_t first, query, key;
};

Block block_of(const PairExtents& x, const PairBias& layout, std::int64_t b, std::int64_t h) {
  if (layout.packed_heads == 0) return {b * layout.sequence + h * layout.head, layout.query, layout.key};
  const std::int64_t head = layout.packed_heads > 1 ? h : 0, S = x.k_count[b];
  return {x.offset[b] / x.heads * layout.packed_heads + head * x.q_count[b] * S, S, 1};
}

// By distance: (t,j) at zero + i - j.
Block block_of(const PairExtents& x, const RelativeBias& layout, std::int64_t b, std::int64_t h) {
  const std::int64_t shift = layout.alignment == RowAlignment::end ? x.k_count[b] - x.q_count[b] : 0;
  return {h * layout.head + layout.zero + shift, 1, -1};
}

template <class Layout>
void add(const Execution& exec, const PairExtents& x, const Layout& layout, const float* scores,
         const float* bias, float* out) {
  for_each_head(exec, x, [&](int, std::int64_t b, std::int64_t h) {
    const Block block = block_of(x, layout, b, h);
    for (std::int64_t t = 0; t < x.q_count[b]; ++t) {
      const std::int64_t at = x.row(b, h, t), S = x.k_count[b];
      const float* from = bias + block.first + t * block.query;
      if (block.key == 1)
        for (std::int64_t j = 0; j < S; ++j) out[at + j] = scores[at + j] + from[j];
      else
        for (std::int64_t j = 0; j < S; ++j) out[at + j] = scores[at + j] + from[j * block.key];
    }
  });
}

// One thread and one order: sequences, heads, rows. Sums are double until the end.
template <class Layout>
void add_backward(const Execution& exec, const PairExtents& x, const Layout& layout, std::int64_t elements,
                  const float* d_out, float* d_bias) {
  auto* sums = reinterpret_cast<double*>(exec.workspace->get(0, 5, static_cast<std::size_t>(2 * elements)));
  std::fill(sums, sums + elements, 0.0);
  for (std::int64_t b = 0; b < x.sequences; ++b)
    for (std::int64_t h = 0; h < x.heads; ++h) {
      const Block block = block_of(x, layout, b, h);
      for (std::int64_t t = 0; t < x.q_count[b]; ++t) {
        const std::int64_t at = x.row(b, h, t);
        double* into = sums + block.first + t * block.query;
        for (std::int64_t j = 0; j < x.k_count[b]; ++j) into[j * block.key] += double{d_out[at + j]};
      }
    }
  for (std::int64_t i = 0; i < elements; ++i) d_bias[i] += static_cast<float>(sums[i]);
}

}  // namespace

void add_pair_bias(const Execution& exec, const PairExtents& x, const PairBias& layout, const float* scores,
                   const float* bias, float* out) {
  add(exec, x, layout, scores, bias, out);
}

void add_pair_bias_backward(const Execution& exec, const PairExtents& x, const PairBias& layout,
                            const float* d_out, float* d_bias) {
  if (layout.packed_heads != x.heads) return add_backward(exec, x, layout, layout.elements, d_out, d_bias);
  for (std::int64_t i = 0; i < x.elements(); ++i) d_bias[i] += d_out[i];
}

void add_relative_bias(const Execution& exec, const PairExtents& x, const RelativeBias& layout,
                       const float* scores, const float* relative, float* out) {
  add(exec, x, layout, scores, relative, out);
}

void add_relative_bias_backward(const Execution& exec, const PairExtents& x, const RelativeBias& layout,
                                const float* d_out, float* d_relative) {
  add_backward(exec, x, layout, (layout.head ? x.heads : 1) * layout.count, d_out, d_relative);
}

}  // namespace fovea::kernels
