#pragma once

#include <cstdint>

#include "fovea/base/bfloat16.h"
#include "fovea/base/random.h"
#include "fovea/kernels/execution.h"

namespace fovea::kernels {

/// Where an operand's heads lie: head h of row r begins at data + r*row + h*head; its elements are
/// contiguous.
struct HeadStrides {
  std::int64_t row = 0, head = 0;  ///< elements
};

/// Which keys a query may look at by position alone. Query t stands at position i = t + S - T (aligned to the
/// end: the last query beside the last key) or i = t (aligned to the start), and sees key j if
///   i - left <= j <= i + right,   or   j < prefix[b]
/// So a query's keys are one interval whose ends never move back from one query to the next, and no work is
/// spent outside of it.
struct Visibility {
  static constexpr std::int64_t unbounded = std::int64_t{1} << 40;
  std::int64_t left = unbounded;   ///< keys before a query's own position
  std::int64_t right = unbounded;  ///< keys after it
  bool to_end = true;
  const std::int64_t* prefix = nullptr;  ///< [sequences]; with an unbounded left only (prefix-LM)

  static constexpr Visibility everything() { return {}; }
  static constexpr Visibility causal() { return {unbounded, 0}; }
  static constexpr Visibility window(std::int64_t left, std::int64_t right) { return {left, right}; }
};

/// Where an element for sequence b, head h, query t and key j lies:
/// b*sequence + h*head + t*query + j*key. A stride of 0 broadcasts.
struct PairStrides {
  std::int64_t sequence = 0, head = 0, query = 0, key = 0;
};

/// Pairs with a 0 are hidden.
struct PairMask {
  const std::uint8_t* data = nullptr;
  PairStrides strides;
};

/// As PairMask, a byte for a rectangle: pair (t,j) belongs to (t / query_block, j / key_block), which the
/// strides count.
struct BlockMask {
  const std::uint8_t* data = nullptr;
  PairStrides strides;
  std::int64_t query_block = 64, key_block = 64;
};

/// A bias by distance: relative[h*head + zero + (i - j)], i the position of the query (see Visibility). Has
/// to hold every distance that some query sees. Serves ALiBi, T5's buckets and any relative bias with O(T +
/// S) floats a head.
struct RelativeLayout {
  std::int64_t head = 0;   ///< floats from one head to the next; 0: heads share it
  std::int64_t zero = 0;   ///< index of distance 0
  std::int64_t count = 0;  ///< distances -zero .. count - zero - 1
};

/// Rotary positions, applied to queries and keys as they are read: with (x, y) elements (e, e + width/2), or
/// (2e, 2e + 1) if interleaved, of a row at position p,
///   (x cos[p][e] - y sin[p][e],  y cos[p][e] + x sin[p][e])   for e < width/2
/// The rest of a row stays. Without positions of their own key j stands at j and query t at Visibility's i.
/// Source: Su et al. 2021.
struct Rotary {
  const float *cos = nullptr, *sin = nullptr;  ///< [positions, width/2]
  std::int64_t width = 0;                      ///< rotated elements: even, at most E
  std::int64_t positions = 0;                  ///< rows of the tables
  bool interleaved = false;
  const std::int32_t* query_positions = nullptr;  ///< by row of q
  const std::int32_t* key_positions = nullptr;    ///< by row of k

  bool active() const { return width > 0; }
};

/// A call of attention over a batch of sequences of any lengths, without padding.
/// Sequence b has its T queries in rows q_start[b] .. q_start[b] + q_count[b] - 1 of q and out, and its S
/// keys and values in rows k_start[b] .. + k_count[b] - 1 of k and v; so a [B,T,H,E] tensor, packed
/// sequences, a packed QKV matrix and a slot of a cache are all the same call. With `key_rows`, key j of
/// sequence b lies in row key_rows[k_start[b] + j] instead: how beams find their past by index.
struct AttentionExtents {
  std::int64_t sequences = 0;    ///< B
  std::int64_t heads = 0;        ///< query heads H
  std::int64_t kv_heads = 0;     ///< divides H; query head h reads key head h / (H / kv_heads)
  std::int64_t key_width = 0;    ///< E of queries and keys
  std::int64_t value_width = 0;  ///< E of values and out
  HeadStrides q, k, v, out;
  const std::int64_t* q_start = nullptr;  ///< [sequences]
  const std::int64_t* q_count = nullptr;
  const std::int64_t* k_start = nullptr;
  const std::int64_t* k_count = nullptr;
  const std::int32_t* key_rows = nullptr;
  Visibility visible;
  PairMask mask;
  BlockMask blocks;
  PairStrides bias;         ///< of AttentionInputs::bias
  RelativeLayout relative;  ///< of AttentionInputs::relative
  Rotary rotary;
  float scale = 1.0f;     ///< multiplies q.k: 1/sqrt(E) as a rule, over the temperature; any finite number
  float soft_cap = 0.0f;  ///< scores become cap*tanh(score/cap) before biases; 0: off
  Dropout dropout;        ///< on the weights; element of (b,h,t,j): ((b*H + h) << 40) + t*k_count[b] + j
};

/// What attention differentiates by. bias, relative and sinks may be null.
template <class Real, class Bias = Real>
struct AttentionInputsOf {
  const Real *q, *k, *v;
  const Bias* bias = nullptr;      ///< added to scores; -infinity hides
  const Bias* relative = nullptr;  ///< added to scores by distance
  const Bias* sinks = nullptr;     ///< [H]: a score of no key, which takes its share of the weights
};
using AttentionInputs = AttentionInputsOf<float>;
using AttentionInputsBf16 = AttentionInputsOf<bfloat16, float>;

/// Their gradients, overwritten: q, k and v in the rows that sequences own, with the strides of q, k and v;
/// bias where some sequence has a pair; relative and sinks whole. bias, relative and
/// sinks may be null: not wanted.
template <class Real, class Bias = Real>
struct AttentionGradientsOf {
  Real *q, *k, *v;
  Bias *bias = nullptr, *relative = nullptr, *sinks = nullptr;
};
using AttentionGradients = AttentionGradientsOf<float>;
using AttentionGradientsBf16 = AttentionGradientsOf<bfloat16, float>;

/// out[t,h] = sum_j w[j] v[j],  w = dropout(softmax_j(s[t,j]) over visible j),
/// s[t,j] = cap(scale * q[t,h].k[j,h]) + bias + relative;  with a sink, exp(sink[h]) joins softmax's sum.
/// log_sum_exp, if given, is [H, rows of q] with row stride `lse_stride`: log(sum_j exp s + exp sink), what
/// backward and attention_weights need. A row that sees nothing gives zeros (log_sum_exp = -infinity, or the
/// sink). What is hidden (by position, mask or a bias of -infinity) or in rows of no sequence is never
/// multiplied, so a NaN there does not leak; a NaN that is seen stays one. A sequence's bits depend on its
/// own lengths and operands alone, not on its neighbours or the number of threads. Cost: T*S*(E + Ev)
/// multiply-adds a head over visible pairs, memory O(1) a worker (below 2 MB at E = 64), none allocated once
/// warm. Throws Error(bug), naming the shapes, if they do not fit: kv_heads does not divide heads, a width is
/// not positive, a window below zero, a prefix with a bounded left, dropout outside [0, 1), a cap below zero,
/// distances or positions outside their tables. Source: Vaswani et al. 2017, section 3.2.1; online softmax:
/// Milakov and Gimelshein 2018, Dao et al. 2022; soft cap: Gemma 2, 2024; sinks: Xiao et al. 2023, gpt-oss
/// 2025.
void attention_forward(const Execution& exec, const AttentionExtents& extents, const AttentionInputs& in,
                       float* out, float* log_sum_exp, std::int64_t lse_stride);

/// Gradients of attention_forward. Recomputes the weights from log_sum_exp: no [T,S] is kept. `key_rows` is
/// not served here (Error: bug). Same bits for any number of threads. Cost: 2.5 times forward; another 1.5
/// times if d.bias or d.relative is wanted (a pass of its own that adds in one order).
void attention_backward(const Execution& exec, const AttentionExtents& extents, const AttentionInputs& in,
                        const float* out, const float* log_sum_exp, std::int64_t lse_stride,
                        const float* d_out, const AttentionGradients& d);

/// The same for operands in bf16: scores, softmax, log_sum_exp and every sum in f32, weights and gradients of
/// scores rounded to bf16 before they are multiplied, results rounded once; biases, sinks and their gradients
/// are f32. A rotated row is rounded again. Twice as fast as f32 where has_16_bit_dot(); elsewhere operands
/// are widened block by block, at the speed of f32. Relative error of log_sum_exp's exponential below 1e-4.
/// Memory of backward: 4*T*E bytes a worker and query head of a key head, besides what forward needs.
void attention_forward(const Execution& exec, const AttentionExtents& extents, const AttentionInputsBf16& in,
                       bfloat16* out, float* log_sum_exp, std::int64_t lse_stride);
void attention_backward(const Execution& exec, const AttentionExtents& extents, const AttentionInputsBf16& in,
                        const bfloat16* out, const float* log_sum_exp, std::int64_t lse_stride,
                        const bfloat16* d_out, const AttentionGradientsBf16& d);

/// What attention_weights writes; what is null is not written. Weights are after softmax, before dropout.
struct AttentionWeights {
  const std::int32_t* heads = nullptr;  ///< [head_count], ascending; null: all
  std::int64_t head_count = 0;
  const std::int32_t* rows = nullptr;  ///< [row_count] rows of q, ascending, each of a sequence; null: all
  std::int64_t row_count = 0;
  /// Sequence after sequence, of each [chosen heads, its chosen rows, S].
  float* all = nullptr;
  /// [chosen heads, rows of q (stride row_stride), top]: the largest weights of a row, falling, and their
  /// keys j (ties: the smaller j first); 0 and -1 where fewer are visible.
  std::int64_t top = 0;
  float* top_weights = nullptr;
  std::int32_t* top_keys = nullptr;
  float* entropy = nullptr;     ///< [chosen heads, rows of q (stride row_stride)], nats, of the keys' weights
  std::int64_t row_stride = 0;  ///< rows of q
  float* column_sums = nullptr;    ///< [chosen heads, rows of k]: sum over chosen queries; overwritten where
  std::int64_t column_stride = 0;  ///< some sequence has keys (by j + k_start[b], also with key_rows)
};

/// The weights of a forward call, from its log_sum_exp: scores once more, and only what is asked is written.
/// Does not change an output bit of anything else. Cost: T*S*E multiply-adds a head.
void attention_weights(const Execution& exec, const AttentionExtents& extents, const AttentionInputs& in,
                       const float* log_sum_exp, std::int64_t lse_stride, const AttentionWeights& wanted);

}  // namespace fovea::kernels
