#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "fovea/ops/context.h"
#include "fovea/ops/norm.h"

namespace fovea::ops {

/// Which rows of a packed matrix belong to which sequence: sequence b has rows start[b] .. start[b] +
/// count[b] - 1, or, where `rows` is given, rows[start[b]] .. rows[start[b] + count[b] - 1] (keys without
/// gradient only: how hypotheses share their past in a cache).
struct Sequences {
  std::vector<std::int64_t> start;
  std::vector<std::int64_t> count;
  std::vector<std::int32_t> rows;

  std::int64_t size() const { return static_cast<std::int64_t>(start.size()); }
  /// Sequences one after another, from their boundaries: offsets [B + 1], first 0.
  static std::shared_ptr<const Sequences> packed(std::span<const std::int32_t> offsets);
};

/// Heads inside a packed matrix [N, C]: head h is columns first + h*width .. first + (h+1)*width - 1.
struct PackedHeads {
  Tensor matrix;
  std::int64_t first = 0;
};

struct AttentionOptions {
  std::int64_t heads = 1;
  std::int64_t kv_heads = 1;
  std::int64_t key_width = 0, value_width = 0;
  bool causal = false;
  float scale = 0.0f;  ///< 0: 1/sqrt(key_width)
  Dropping dropping;
  std::string_view place;  ///< its name for the recorder
};

/// Scaled dot product attention over packed sequences.
///   context[t,h] = sum_j softmax_j(scale * q[t,h] . k[j,h]) v[j,h],  j over the keys of t's sequence that t
///   may see
/// Shapes   q in a matrix [N_q, .], k and v in matrices [N_k, .]; sequence b of `queries` looks at sequence b
/// of `keys` Returns  context [N_q, heads * value_width] Edge     a row that sees nothing: zeros, no gradient
/// Needs    for gradients: q, k, v together cover every column of their matrices once, sequences cover every
/// row Source   Vaswani et al. 2017, section 3.2
Tensor attention(const Context& ctx, const PackedHeads& q, const PackedHeads& k, const PackedHeads& v,
                 std::shared_ptr<const Sequences> queries, std::shared_ptr<const Sequences> keys,
                 const AttentionOptions& options);

}  // namespace fovea::ops
