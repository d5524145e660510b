#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/kernels/pairs.h"
#include "fovea/ops/attention.h"

namespace fovea::ops {

/// The layout of explicit scores or weights over packed sequences: sequence b of the queries looks at
/// sequence b of the keys, and its pairs are a block [H, T_b, S_b]; blocks lie one after another in a Tensor
/// [elements]. Made once for a batch, shared by all ops on its pairs (as the recorder receives weights, too).
class Pairs {
 public:
  /// Throws Error if there are other than as many key sequences as query sequences, or H < 1.
  static std::shared_ptr<const Pairs> of(std::shared_ptr<const Sequences> queries,
                                         std::shared_ptr<const Sequences> keys, std::int64_t heads);

  std::int64_t sequences() const { return queries_->size(); }
  std::int64_t heads() const { return heads_; }
  std::int64_t T(std::int64_t b) const { return queries_->count[static_cast<std::size_t>(b)]; }
  std::int64_t S(std::int64_t b) const { return keys_->count[static_cast<std::size_t>(b)]; }
  std::int64_t longest_T() const;
  std::int64_t longest_S() const;
  std::int64_t elements() const { return offset_.back(); }
  /// Rows that matrices of queries and keys must have: one beyond the last that is used.
  std::int64_t query_rows() const { return query_rows_; }
  std::int64_t key_rows() const { return key_rows_; }
  const Sequences& queries() const { return *queries_; }
  const Sequences& keys() const { return *keys_; }

  /// What kernels ask for; points into this.
  kernels::PairExtents extents() const;

  /// Throws Error(bug), naming `where` and H, T, S, unless the tensor has these pairs.
  void expect(const Tensor& pairs, std::string_view where) const;
  /// Throws Error(bug) unless a matrix of queries (keys) has a row for each.
  void expect_query_rows(const Tensor& matrix, std::string_view where) const;
  void expect_key_rows(const Tensor& matrix, std::string_view where) const;
  /// "H 2, T 5+3, S 4+4" for messages.
  std::string text() const;

 private:
  std::shared_ptr<const Sequences> queries_, keys_;
  std::int64_t heads_ = 1, query_rows_ = 0, key_rows_ = 0;
  std::vector<std::int64_t> offset_;
};
using PairsPtr = std::shared_ptr<const Pairs>;

/// A score of one's own: any differentiable function of queries [N_q, .] and keys [N_k, .] that returns
/// pairs->elements() scores in the layout of `pairs`. It records its gradients on ctx.tape as every op does;
/// built from the ops of this floor it does so by itself. Hidden pairs may hold anything.
using PairScore = std::function<Tensor(const Context& ctx, const Tensor& queries, const Tensor& keys,
                                       const PairsPtr& pairs)>;

struct DotOptions {
  std::int64_t kv_heads = 1;  ///< divides H; query head h meets key head h / (H / kv_heads)
  std::int64_t width = 0;     ///< E
  float scale = 1.0f;
};

/// score[h,t,j] = scale * q[t,h] . k[j,h].
/// Shapes   q in a matrix [N_q, .], k in a matrix [N_k, .] (kv_heads heads); returns pairs
/// Grads    to q and k: into their columns, beside what others send to the same matrix. None for keys by row
Tensor dot_scores(const Context& ctx, const PackedHeads& q, const PackedHeads& k, const PairsPtr& pairs,
                  const DotOptions& options);

struct MixOptions {
  std::int64_t kv_heads = 1;
  std::int64_t value_width = 0;  ///< Ev
};

/// context[t,h] = sum_j weights[h,t,j] v[j,h]; a weight of exactly 0 is never multiplied.
/// Shapes   weights pairs, v in a matrix [N_k, .] (kv_heads heads); returns [N_q, H * Ev]; rows of no
/// sequence: 0
Tensor mix(const Context& ctx, const Tensor& weights, const PackedHeads& v, const PairsPtr& pairs,
           const MixOptions& options);

/// Dropout of weights by the pairs' own numbers: the mask that tiled attention draws for the same site.
Tensor pair_dropout(const Context& ctx, const Tensor& weights, const PairsPtr& pairs, Dropping dropping);

}  // namespace fovea::ops
