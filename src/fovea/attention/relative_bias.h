#pragma once

#include <functional>
#include <string>
#include <vector>

#include "fovea/nn/layers.h"
#include "fovea/tensor/tensor.h"

namespace fovea::attention {

/// How far keys lie behind queries, i - j: every whole number from `least` to `most`.
struct Distances {
  std::int64_t least = 0, most = 0;

  /// All that T queries and S keys have, the last query beside the last key: -(T-1) .. S-1; or, aligned to
  /// the start, -(S-1) .. T-1.
  static Distances between(std::int64_t T, std::int64_t S, bool to_end = true);
  std::int64_t count() const { return most - least + 1; }
  std::int64_t zero() const { return -least; }  ///< where distance 0 stands
};

/// A bias on scores that depends on distance alone: that of (t, j) in head h is
///   values[h*distances.count() + distances.zero() + (i - j)],  i the position of query t
/// as kernels/attention.h takes it: O(T + S) floats a head, no [T,S].
struct DistanceBias {
  Tensor values;  ///< [H, distances]
  Distances distances;
};

/// Slopes of ALiBi, [H]: 2^(-8/H), 2^(-16/H), ..., 2^-8; if H is no power of two, those of the power below,
/// then every second one of the power above, from its first. Source   Press, Smith, Lewis 2022, section 3 and
/// its program
std::vector<float> alibi_slopes(std::int64_t heads);

/// ALiBi: -slope[h] * |i - j|. The paper's models are causal; looking both ways its authors take the same on
/// either side.
DistanceBias alibi(std::int64_t heads, const Distances& distances);

/// T5's buckets of distances: each small distance has its own, larger ones share, logarithmically, up to
/// max_distance, beyond which all are one. Looking both ways, keys after the query have the second half.
/// Source   Raffel et al. 2020, section 2.1, as computed by its program and Hugging Face's (in floats)
struct T5Buckets {
  std::int64_t buckets = 32;
  std::int64_t max_distance = 128;
  bool bidirectional = true;

  std::int64_t operator()(std::int64_t distance) const;  ///< of i - j
};

/// values[h, d] = table[bucket(d), h]; gradients of values are summed back into their buckets.
/// Shapes   table [K, H]; Throws Error(bug) if a bucket lies outside the table
DistanceBias expand_buckets(const ops::Context& ctx, const Tensor& table_KH, const Distances& distances,
                            const std::function<std::int64_t(std::int64_t)>& bucket);

/// T5's relative bias: a learned number for each bucket and head (begins at zero).
class T5Bias {
 public:
  T5Bias(nn::Builder& builder, const std::string& name, std::int64_t heads, const T5Buckets& buckets = {});

  DistanceBias operator()(const ops::Context& ctx, const Distances& distances) const {
    return expand_buckets(ctx, table_->value, distances, buckets_);
  }

 private:
  T5Buckets buckets_;
  nn::Parameter* table_;  ///< [buckets, H]
};

/// A learned number for each distance and head, those beyond `clip` on either side sharing one (begins at
/// zero): the bias form of Shaw, Uszkoreit, Vaswani 2018, section 3.2 (clip) and of Liu et al. 2021 (Swin).
class ClippedBias {
 public:
  ClippedBias(nn::Builder& builder, const std::string& name, std::int64_t heads, std::int64_t clip);

  DistanceBias operator()(const ops::Context& ctx, const Distances& distances) const;

 private:
  std::int64_t clip_;
  nn::Parameter* table_;  ///< [2*clip + 1, H]; row clip + (i - j)
};

}  // namespace fovea::attention
