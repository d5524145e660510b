#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "fovea/kernels/attention.h"
#include "tests/kernels/kernel_sets.h"

/// Attention with operands at which mistakes show: what its tests share.
namespace fovea::kernels::test::attention {

inline constexpr float infinity = std::numeric_limits<float>::infinity();
inline constexpr float nan = std::numeric_limits<float>::quiet_NaN();

inline std::vector<float> random_floats(std::int64_t count, std::uint32_t site, float size = 1.0f) {
  std::vector<float> values(static_cast<std::size_t>(count));
  const RandomKey key = RandomKey::of(7, 0, site);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = size * normal(key, i);
  return values;
}

struct Shape {
  std::vector<std::int64_t> queries, keys;
  std::int64_t heads = 1, kv_heads = 1, key_width = 8, value_width = 8;
  bool causal = false;
  float dropout = 0.0f;
  float size = 1.0f;  // of queries: scores grow with it
  bool indexed = false;

  std::string text() const {
    std::string s = "H " + std::to_string(heads) + "/" + std::to_string(kv_heads) + " E " +
                    std::to_string(key_width) + "," + std::to_string(value_width) +
                    (causal ? " causal" : "") + " p " + std::to_string(dropout) + " size " +
                    std::to_string(size) + (indexed ? " indexed" : "") + " T,S";
    for (std::size_t b = 0; b < queries.size(); ++b)
      s += " " + std::to_string(queries[b]) + "," + std::to_string(keys[b]);
    return s;
  }
};

// A call with its operands: rows of q, k and v are wider than the heads, sequences lie apart, and what lies
// between is NaN.
struct Problem {
  Shape shape;
  std::vector<std::int64_t> q_start, k_start;
  std::vector<std::int32_t> key_rows;
  std::int64_t q_rows = 1, k_rows = 1;
  std::vector<float> q, k, v, d_out;
  AttentionExtents x;

  explicit Problem(const Shape& wanted, std::uint32_t site = 1) : shape(wanted) {
    for (std::size_t b = 0; b < shape.queries.size(); ++b) {
      q_start.push_back(q_rows);
      k_start.push_back(k_rows);
      q_rows += shape.queries[b] + 1;
      k_rows += shape.keys[b] + 1;
    }
    x.sequences = static_cast<std::int64_t>(shape.queries.size());
    x.heads = shape.heads;
    x.kv_heads = shape.kv_heads;
    x.key_width = shape.key_width;
    x.value_width = shape.value_width;
    x.q = {shape.heads * (shape.key_width + 1) + 2, shape.key_width + 1};
    x.k = {shape.kv_heads * shape.key_width + 3, shape.key_width};
    x.v = {shape.kv_heads * (shape.value_width + 2), shape.value_width + 2};
    x.out = {shape.heads * shape.value_width + 1, shape.value_width};
    if (shape.causal) x.visible = Visibility::causal();
    x.scale = 1.0f / std::sqrt(static_cast<float>(shape.key_width));
    x.dropout = {shape.dropout, RandomKey::of(11, 3, 5)};
    for (std::int64_t i = 0; shape.indexed && i < k_rows; ++i)
      key_rows.push_back(static_cast<std::int32_t>((i * 7 + 3) % k_rows));
    q = operand(q_rows, x.q, shape.heads, shape.key_width, q_start, shape.queries, site, shape.size);
    k = operand(k_rows, x.k, shape.kv_heads, shape.key_width, k_start, shape.keys, site + 1, 1.0f);
    v = operand(k_rows, x.v, shape.kv_heads, shape.value_width, k_start, shape.keys, site + 2, 1.0f);
    if (shape.indexed) {
      k = random_floats(k_rows * x.k.row, site + 1);
      v = random_floats(k_rows * x.v.row, site + 2);
    }
    d_out = random_floats(q_rows * x.out.row, site + 3);
  }

  AttentionExtents extents() const {
    AttentionExtents e = x;
    e.q_start = q_start.data();
    e.q_count = shape.queries.data();
    e.k_start = k_start.data();
    e.k_count = shape.keys.data();
    e.key_rows = key_rows.empty() ? nullptr : key_rows.data();
    return e;
  }

  static std::vector<float> operand(std::int64_t rows, HeadStrides strides, std::int64_t heads,
                                    std::int64_t width, const std::vector<std::int64_t>& starts,
                                    const std::vector<std::int64_t>& counts, std::uint32_t site, float size) {
    const std::vector<float> values = random_floats(rows * strides.row, site, size);
    std::vector<float> data(values.size(), nan);
    for (std::size_t b = 0; b < starts.size(); ++b)
      for (std::int64_t row = starts[b]; row < starts[b] + counts[b]; ++row)
        for (std::int64_t h = 0; h < heads; ++h)
          for (std::int64_t e = 0; e < width; ++e) {
            const std::int64_t at = row * strides.row + h * strides.head + e;
            data[at] = values[at];
          }
    return data;
  }

  std::int64_t weight_count() const {
    std::int64_t count = 0;
    for (std::size_t b = 0; b < shape.queries.size(); ++b)
      count += shape.heads * shape.queries[b] * shape.keys[b];
    return count;
  }
};

struct Forward {
  std::vector<float> out, lse, weights;
};

inline Forward forward(const Problem& p, const Execution& exec, bool weights = true) {
  Forward f{std::vector<float>(p.q_rows * p.x.out.row, -7.0f),
            std::vector<float>(p.q_rows * p.shape.heads, -7.0f), std::vector<float>(p.weight_count(), -7.0f)};
  const AttentionInputs in{p.q.data(), p.k.data(), p.v.data()};
  attention_forward(exec, p.extents(), in, f.out.data(), f.lse.data(), p.q_rows);
  if (!weights) return f;
  AttentionWeights wanted;
  wanted.all = f.weights.data();
  attention_weights(exec, p.extents(), in, f.lse.data(), p.q_rows, wanted);
  return f;
}

struct Gradients {
  std::vector<float> q, k, v;
};

inline Gradients backward(const Problem& p, const Forward& f, const Execution& exec) {
  Gradients g{std::vector<float>(p.q.size(), -7.0f), std::vector<float>(p.k.size(), -7.0f),
              std::vector<float>(p.v.size(), -7.0f)};
  attention_backward(exec, p.extents(), {p.q.data(), p.k.data(), p.v.data()}, f.out.data(), f.lse.data(),
                     p.q_rows, p.d_out.data(), {g.q.data(), g.k.data(), g.v.data()});
  return g;
}

class AttentionKernels : public testing::TestWithParam<KernelSet> {
 protected:
  ExecutionOwner fast_{2, GetParam()};
};

}  // namespace fovea::kernels::test::attention
