#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "fovea/kernels/attention.h"
#include "fovea/ops/context.h"
#include "fovea/ops/norm.h"
#include "fovea/ops/rotary_tables.h"

namespace fovea::ops {

/// Which rows of a packed matrix belong to which sequence: sequence b has rows start[b] .. start[b] +
/// count[b] - 1, or, where `rows` is given, rows[start[b]] .. rows[start[b] + count[b] - 1] (keys without
/// gradient only: how hypotheses share their past in a cache).
struct Sequences {
  std::vector<std::int64_t> start;
  std::vector<std::int64_t> count;
  std::vector<std::int32_t> rows;

  std::int64_t size() const { return static_cast<std::int64_t>(start.size()); }
  /// The first n of them.
  std::shared_ptr<const Sequences> first(std::int64_t n) const;
  /// Sequences one after another, from their boundaries: offsets [B + 1], first 0.
  static std::shared_ptr<const Sequences> packed(std::span<const std::int32_t> offsets);
};

/// Heads inside a packed matrix [N, C]: head h is columns first + h*width .. first + (h+1)*width - 1.
struct PackedHeads {
  Tensor matrix;
  std::int64_t first = 0;
};

/// What else than a score and a position decides how much a pair counts. Tensors over pairs are
/// [B, H, T, S] with T and S of the longest sequence, or 1 where the axis is shared; what is undefined does
/// nothing. kernels/attention.h has the formulas.
struct PairTerms {
  std::vector<std::int64_t> prefix;  ///< [B] keys that every query of a sequence sees (prefix-LM)
  Tensor mask;                       ///< i8: 0 hides a pair
  Tensor blocks;                     ///< i8: 0 hides a rectangle of query_block x key_block pairs
  std::int64_t query_block = 64, key_block = 64;
  Tensor bias;                     ///< f32, added to scores; -infinity hides; may require a gradient
  Tensor relative;                 ///< f32 [H or 1, distances], added by i - j; may require a gradient
  std::int64_t relative_zero = 0;  ///< column of distance 0
  Tensor sinks;                    ///< f32 [H]: a score of no key; may require a gradient
  RotaryTables rotary;             ///< queries and keys are turned by their positions
  std::vector<std::int32_t> query_positions, key_positions;  ///< by row of q and k, or implied
};

struct AttentionOptions {
  std::int64_t heads = 1;
  std::int64_t kv_heads = 1;
  std::int64_t key_width = 0, value_width = 0;
  float scale = 0.0f;                ///< 0: 1/sqrt(key_width)
  kernels::Visibility visible = {};  ///< by position; its prefix is that of `terms`
  float soft_cap = 0.0f;
  std::shared_ptr<const PairTerms> terms = {};  ///< or none
  Dropping dropping = {};
  std::string_view place = {};  ///< its name for the recorder
};

/// Strides of a tensor over pairs. Throws Error(bug), naming `what`, unless its shape is [B, H, T, S] with
/// extents of 1 where shared; T and S may exceed the longest sequence.
kernels::PairStrides pair_strides(const Tensor& tensor, std::string_view what, std::int64_t B, std::int64_t H,
                                  std::int64_t T, std::int64_t S);

/// Scaled dot product attention over packed sequences.
///   context[t,h] = sum_j softmax_j(scale * q[t,h] . k[j,h]) v[j,h],  j over the keys of t's sequence that t
///   may see
/// Shapes   q in a matrix [N_q, .], k and v in matrices [N_k, .]; sequence b of `queries` looks at sequence b
/// of `keys` Returns  context [N_q, heads * value_width] Edge     a row that sees nothing: zeros, no gradient
/// Needs    for gradients: q, k, v together cover every column of their matrices once, sequences cover every
/// row Source   Vaswani et al. 2017, section 3.2; all that options say: kernels/attention.h
Tensor attention(const Context& ctx, const PackedHeads& q, const PackedHeads& k, const PackedHeads& v,
                 std::shared_ptr<const Sequences> queries, std::shared_ptr<const Sequences> keys,
                 const AttentionOptions& options);

}  // namespace fovea::ops
