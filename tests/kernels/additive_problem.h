#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "fovea/kernels/additive_attention.h"
#include "tests/kernels/kernel_sets.h"
#include "tests/kernels/random_rows.h"
#include "tests/kernels/same_bits.h"

/// Additive attention with operands at which mistakes show: what its tests share.
namespace fovea::kernels::test::additive {

using fovea::test::normals;
using kernels::same_bits;

inline constexpr float infinity = std::numeric_limits<float>::infinity();
inline constexpr float nan = std::numeric_limits<float>::quiet_NaN();
inline constexpr std::int64_t unbounded = Visibility::unbounded;

struct Shape {
  std::vector<std::int64_t> queries, keys;
  std::int64_t heads = 1, width = 8, value_width = 8;
  std::int64_t left = unbounded, right = unbounded;
  bool to_end = true;
  std::vector<std::int64_t> prefix = {};
  float dropout = 0.0f;
  float size = 1.0f;   // of queries and keys
  int huge_every = 0;  // rows of queries and keys that are 40 times as large
  bool indexed = false;

  std::string text() const {
    std::string s = "H " + std::to_string(heads) + " D " + std::to_string(width) + " E " +
                    std::to_string(value_width) + " window " + std::to_string(left) + "," +
                    std::to_string(right) + " p " + std::to_string(dropout) + " size " +
                    std::to_string(size) + " huge " + std::to_string(huge_every) +
                    (indexed ? " indexed" : "") + " T,S";
    for (std::size_t b = 0; b < queries.size(); ++b)
      s += " " + std::to_string(queries[b]) + "," + std::to_string(keys[b]);
    return s;
  }
};

// A call with its operands: rows are wider than the heads, sequences lie apart, and what lies between is NaN.
template <class Real>
struct ProblemOf {
  Shape shape;
  std::vector<std::int64_t> q_start, k_start;
  std::vector<std::int32_t> key_rows;
  std::int64_t q_rows = 1, k_rows = 1;
  std::vector<Real> q, k, v, value, d_out, d_scores;
  AdditiveExtents x;

  explicit ProblemOf(const Shape& wanted, std::uint64_t seed = 1) : shape(wanted) {
    for (std::size_t b = 0; b < shape.queries.size(); ++b) {
      q_start.push_back(q_rows);
      k_start.push_back(k_rows);
      q_rows += shape.queries[b] + 1;
      k_rows += shape.keys[b] + 1;
    }
    x.sequences = static_cast<std::int64_t>(shape.queries.size());
    x.heads = shape.heads;
    x.width = shape.width;
    x.value_width = shape.value_width;
    x.q = {shape.heads * (shape.width + 1) + 2, shape.width + 1};
    x.k = {shape.heads * shape.width + 3, shape.width};
    x.value = {shape.heads * (shape.value_width + 2), shape.value_width + 2};
    x.out = {shape.heads * shape.value_width + 1, shape.value_width};
    x.visible = {shape.left, shape.right, shape.to_end};
    x.dropout = {shape.dropout, RandomKey::of(11, 3, 5)};
    for (std::int64_t i = 0; shape.indexed && i < k_rows; ++i)
      key_rows.push_back(static_cast<std::int32_t>((i * 7 + 3) % k_rows));
    q = operand(q_rows, x.q, shape.width, q_start, shape.queries, seed, shape.size, shape.huge_every);
    k = operand(k_rows, x.k, shape.width, k_start, shape.keys, seed + 1, shape.size, shape.huge_every);
    value = operand(k_rows, x.value, shape.value_width, k_start, shape.keys, seed + 2, 1.0f, 0);
    if (shape.indexed) {
      k = normals<Real>(k_rows * x.k.row, seed + 1, shape.size);
      value = normals<Real>(k_rows * x.value.row, seed + 2);
    }
    v = normals<Real>(shape.heads * shape.width, seed + 3, 1.5 / std::sqrt(double(shape.width)));
    d_out = normals<Real>(q_rows * x.out.row, seed + 4);
    d_scores = normals<Real>(pairs(), seed + 5);
  }

  AdditiveExtents extents() const {
    AdditiveExtents e = x;
    e.q_start = q_start.data();
    e.q_count = shape.queries.data();
    e.k_start = k_start.data();
    e.k_count = shape.keys.data();
    e.key_rows = key_rows.empty() ? nullptr : key_rows.data();
    e.visible.prefix = shape.prefix.empty() ? nullptr : shape.prefix.data();
    return e;
  }
  AdditiveInputsOf<Real> inputs() const { return {q.data(), k.data(), v.data(), value.data()}; }

  std::vector<Real> operand(std::int64_t rows, HeadStrides strides, std::int64_t width,
                            const std::vector<std::int64_t>& starts, const std::vector<std::int64_t>& counts,
                            std::uint64_t seed, float size, int huge_every) const {
    const auto values = normals<Real>(rows * strides.row, seed, size);
    std::vector<Real> data(values.size(), nan);
    for (std::size_t b = 0; b < starts.size(); ++b)
      for (std::int64_t row = starts[b]; row < starts[b] + counts[b]; ++row)
        for (std::int64_t h = 0; h < shape.heads; ++h)
          for (std::int64_t e = 0; e < width; ++e) {
            const std::int64_t at = row * strides.row + h * strides.head + e;
            data[at] = values[at] * (huge_every > 0 && row % huge_every == 0 ? Real{40} : Real{1});
          }
    return data;
  }

  bool sees(std::int64_t b, std::int64_t t, std::int64_t j) const {
    const std::int64_t i = shape.to_end ? t + shape.keys[b] - shape.queries[b] : t;
    return (i - shape.left <= j && j <= i + shape.right) || (!shape.prefix.empty() && j < shape.prefix[b]);
  }
  std::int64_t pairs() const {
    std::int64_t count = 0;
    for (std::size_t b = 0; b < shape.queries.size(); ++b)
      count += shape.heads * shape.queries[b] * shape.keys[b];
    return count;
  }
};
using Problem = ProblemOf<float>;

struct Forward {
  std::vector<float> out, lse, weights, scores;
};

inline Forward forward(const Problem& p, const Execution& exec) {
  Forward f{std::vector<float>(p.q_rows * p.x.out.row, -7.0f),
            std::vector<float>(p.q_rows * p.shape.heads, -7.0f), std::vector<float>(p.pairs(), -7.0f),
            std::vector<float>(p.pairs(), -7.0f)};
  additive_attention_forward(exec, p.extents(), p.inputs(), f.out.data(), f.lse.data(), p.q_rows);
  additive_attention_weights(exec, p.extents(), p.inputs(), f.lse.data(), p.q_rows, f.weights.data());
  additive_scores_forward(exec, p.extents(), p.inputs(), f.scores.data());
  return f;
}

struct Gradients {
  std::vector<float> q, k, v, value;
  explicit Gradients(const Problem& p)
      : q(p.q.size(), -7.0f), k(p.k.size(), -7.0f), v(p.v.size(), -7.0f), value(p.value.size(), -7.0f) {}
  AdditiveGradients to() { return {q.data(), k.data(), v.data(), value.data()}; }
};

inline Gradients backward(const Problem& p, const Forward& f, const Execution& exec) {
  Gradients g(p);
  additive_attention_backward(exec, p.extents(), p.inputs(), f.out.data(), f.lse.data(), p.q_rows,
                              p.d_out.data(), g.to());
  return g;
}

inline Gradients scores_backward(const Problem& p, const Execution& exec) {
  Gradients g(p);
  additive_scores_backward(exec, p.extents(), p.inputs(), p.d_scores.data(), g.to());
  return g;
}

inline std::vector<float> scores_backward_to_queries(const Problem& p, const Execution& exec) {
  std::vector<float> d_q(p.q.size(), -7.0f);
  additive_scores_backward_to_queries(exec, p.extents(), p.inputs(), p.d_scores.data(), d_q.data());
  return d_q;
}

inline bool same_bits(const Forward& a, const Forward& b) {
  return same_bits(a.out, b.out) && same_bits(a.lse, b.lse) && same_bits(a.weights, b.weights) &&
         same_bits(a.scores, b.scores);
}
inline bool same_bits(const Gradients& a, const Gradients& b) {
  return same_bits(a.q, b.q) && same_bits(a.k, b.k) && same_bits(a.v, b.v) && same_bits(a.value, b.value);
}

class AdditiveKernels : public testing::TestWithParam<KernelSet> {
 protected:
  ExecutionOwner fast_{2, GetParam()};
};

}  // namespace fovea::kernels::test::additive
