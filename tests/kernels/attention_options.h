#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "fovea/kernels/attention.h"
#include "fovea/kernels/reference/attention.h"
#include "tests/kernels/random_rows.h"

namespace fovea::kernels::test {

/// Everything that attention can be told, to be drawn or set one by one.
struct Options {
  std::vector<std::int64_t> queries{20}, keys{20};
  std::int64_t heads = 2, kv_heads = 1, key_width = 8, value_width = 8;
  std::int64_t left = Visibility::unbounded, right = Visibility::unbounded;
  bool to_end = true, prefix = false;
  enum class Over { nothing, sequences, heads, queries, keys, transposed };  // what a pair tensor repeats
  bool mask = false, bias = false, blocks = false;
  Over mask_over = Over::nothing, bias_over = Over::nothing;
  bool infinite_bias = false;  // some of it is -infinity
  std::int64_t query_block = 16, key_block = 16;
  bool relative = false, relative_shared = false;
  bool sinks = false;
  float soft_cap = 0.0f, scale = 0.4f, dropout = 0.0f;
  std::int64_t rotated = 0;
  bool interleaved = false, positions = false;

  std::string text() const {
    std::string s = "H " + std::to_string(heads) + "/" + std::to_string(kv_heads) + " E " +
                    std::to_string(key_width) + "," + std::to_string(value_width);
    const auto flag = [&](bool on, const char* name) { s += on ? std::string(" ") + name : ""; };
    if (left < Visibility::unbounded) s += " left " + std::to_string(left);
    if (right < Visibility::unbounded) s += " right " + std::to_string(right);
    flag(!to_end, "to_start");
    flag(prefix, "prefix");
    if (mask) s += " mask" + std::to_string(static_cast<int>(mask_over));
    if (bias) s += " bias" + std::to_string(static_cast<int>(bias_over));
    flag(infinite_bias, "infinite");
    if (blocks) s += " blocks " + std::to_string(query_block) + "x" + std::to_string(key_block);
    flag(relative, relative_shared ? "relative_shared" : "relative");
    flag(sinks, "sinks");
    s += " cap " + std::to_string(soft_cap) + " scale " + std::to_string(scale) + " drop " +
         std::to_string(dropout);
    if (rotated) s += " rotary " + std::to_string(rotated) + (interleaved ? " interleaved" : "");
    flag(positions, "positions");
    s += " T,S";
    for (std::size_t b = 0; b < queries.size(); ++b)
      s += " " + std::to_string(queries[b]) + "," + std::to_string(keys[b]);
    return s;
  }
};

/// Every option by itself, at a value at which the answer must change.
inline std::vector<std::pair<std::string, Options>> single_options(const Options& plain) {
  std::vector<std::pair<std::string, Options>> all;
  const auto with = [&](const char* name, const auto& change) {
    Options o = plain;
    change(o);
    all.emplace_back(name, o);
  };
  using Over = Options::Over;
  with("causal", [](Options& o) { o.right = 0; });
  with("window", [](Options& o) { o.left = 3, o.right = 2; });
  with("left", [](Options& o) { o.left = 3; });
  with("narrow", [](Options& o) { o.left = 0, o.right = 0; });
  with("prefix", [](Options& o) { o.right = 0, o.prefix = true; });
  with("mask", [](Options& o) { o.mask = true; });
  with("padding", [](Options& o) { o.mask = true, o.mask_over = Over::queries; });
  with("blocks", [](Options& o) { o.blocks = true, o.query_block = 5, o.key_block = 3; });
  with("bias", [](Options& o) { o.bias = true; });
  with("bias over sequences", [](Options& o) { o.bias = true, o.bias_over = Over::sequences; });
  with("bias over heads", [](Options& o) { o.bias = true, o.bias_over = Over::heads; });
  with("bias over queries", [](Options& o) { o.bias = true, o.bias_over = Over::queries; });
  with("bias transposed", [](Options& o) { o.bias = true, o.bias_over = Over::transposed; });
  with("infinite bias", [](Options& o) { o.bias = o.infinite_bias = true; });
  with("relative", [](Options& o) { o.relative = true; });
  with("relative shared", [](Options& o) { o.relative = o.relative_shared = true; });
  with("sinks", [](Options& o) { o.sinks = true; });
  with("soft cap", [](Options& o) { o.soft_cap = 0.8f; });
  with("scale", [](Options& o) { o.scale = -0.7f; });
  with("no scale", [](Options& o) { o.scale = 0.0f; });
  with("dropout", [](Options& o) { o.dropout = 0.3f; });
  with("rotary", [](Options& o) { o.rotated = o.key_width; });
  with("part rotary", [](Options& o) { o.rotated = o.key_width / 2; });
  with("interleaved rotary", [](Options& o) { o.rotated = o.key_width, o.interleaved = true; });
  with("rotary positions", [](Options& o) { o.rotated = o.key_width, o.positions = true; });
  return all;
}

/// Options drawn at random, several at once.
inline Options draw_options(std::uint64_t seed) {
  const RandomKey key = RandomKey::of(seed, 0, 0);
  std::uint64_t draws = 0;
  const auto draw = [&](std::uint32_t bound) {
    return static_cast<std::int64_t>(below(key, draws++, bound));
  };
  Options o;
  o.queries.clear();
  o.keys.clear();
  const std::uint32_t longest = draw(3) == 0 ? 700 : 90;
  for (std::int64_t b = 0, count = draw(longest > 100 ? 1 : 3); b <= count; ++b) {
    o.queries.push_back(draw(6) == 0 ? draw(3) : draw(longest > 100 ? 150 : 90));
    o.keys.push_back(draw(6) == 0 ? draw(3) : draw(2) ? o.queries.back() : draw(longest));
  }
  o.kv_heads = 1 + draw(2);
  o.heads = o.kv_heads * (1 + draw(2));
  o.key_width = 2 + 2 * draw(24);
  o.value_width = draw(2) ? o.key_width : 1 + draw(48);
  if (draw(3) == 0) o.left = draw(2) ? draw(8) : draw(200);
  if (draw(2)) o.right = draw(2) ? 0 : draw(100);
  o.to_end = draw(3) > 0;
  o.prefix = draw(3) == 0 && o.left == Visibility::unbounded;
  o.mask = draw(4) == 0;
  o.mask_over = static_cast<Options::Over>(draw(6));
  o.blocks = draw(4) == 0;
  o.query_block = 1 + draw(70);
  o.key_block = 1 + draw(70);
  o.bias = draw(3) == 0;
  o.bias_over = static_cast<Options::Over>(draw(6));
  o.infinite_bias = o.bias && draw(2);
  o.relative = draw(3) == 0;
  o.relative_shared = draw(2);
  o.sinks = draw(3) == 0;
  o.soft_cap = draw(3) == 0 ? 1.5f : 0.0f;
  o.scale = draw(6) == 0 ? -0.2f : 0.3f;
  o.dropout = draw(4) == 0 ? 0.3f : 0.0f;
  if (draw(3) == 0) o.rotated = 2 * (1 + draw(static_cast<std::uint32_t>(o.key_width / 2)));
  o.interleaved = draw(2);
  o.positions = o.rotated && (!o.to_end || draw(2));
  for (std::size_t b = 0; b < o.queries.size(); ++b) o.positions |= o.queries[b] > o.keys[b];
  return o;
}

/// A call with these options, and operands of `Real`. Rows of no sequence are NaN.
template <class Real>
struct OptionCall {
  Options o;
  std::vector<std::int64_t> q_start, k_start, prefix;
  std::int64_t q_rows = 1, k_rows = 1, most_queries = 1, most_keys = 1;
  std::vector<Real> q, k, v, bias, relative, sinks, d_out;
  std::vector<std::uint8_t> mask, blocks;
  std::vector<float> cos, sin;
  std::vector<std::int32_t> query_positions, key_positions;
  AttentionExtents layout;

  explicit OptionCall(const Options& options, std::uint64_t seed = 1) : o(options) {
    for (std::size_t b = 0; b < o.queries.size(); ++b) {
      q_start.push_back(q_rows);
      k_start.push_back(k_rows);
      q_rows += o.queries[b] + 1;
      k_rows += o.keys[b] + 1;
      most_queries = std::max(most_queries, o.queries[b]);
      most_keys = std::max(most_keys, o.keys[b]);
      prefix.push_back(o.keys[b] / 3);
    }
    layout.q = {o.heads * o.key_width, o.key_width};
    layout.k = {o.kv_heads * o.key_width, o.key_width};
    layout.v = {o.kv_heads * o.value_width, o.value_width};
    layout.out = {o.heads * o.value_width, o.value_width};
    q = owned(q_rows, layout.q.row, q_start, o.queries, seed);
    k = owned(k_rows, layout.k.row, k_start, o.keys, seed + 1);
    v = owned(k_rows, layout.v.row, k_start, o.keys, seed + 2);
    d_out = owned(q_rows, layout.out.row, q_start, o.queries, seed + 3);
    pair_tensors(seed);
    if (o.relative) {
      layout.relative.count = 2 * (most_queries + most_keys) + 1;
      layout.relative.zero = most_queries + most_keys;
      layout.relative.head = o.relative_shared ? 0 : layout.relative.count + 3;
      relative = fovea::test::normals<Real>(layout.relative.head * o.heads + layout.relative.count, seed + 8);
    }
    if (o.sinks) sinks = fovea::test::normals<Real>(o.heads, seed + 9);
    if (o.rotated) rotary(seed);
  }

  AttentionExtents extents() const {
    AttentionExtents x = layout;
    x.sequences = static_cast<std::int64_t>(o.queries.size());
    x.heads = o.heads;
    x.kv_heads = o.kv_heads;
    x.key_width = o.key_width;
    x.value_width = o.value_width;
    x.q_start = q_start.data();
    x.q_count = o.queries.data();
    x.k_start = k_start.data();
    x.k_count = o.keys.data();
    x.visible = {o.left, o.right, o.to_end, o.prefix ? prefix.data() : nullptr};
    if (o.mask) x.mask.data = mask.data();
    if (o.blocks) x.blocks.data = blocks.data();
    if (o.rotated) {
      x.rotary.cos = cos.data();
      x.rotary.sin = sin.data();
      if (o.positions) {
        x.rotary.query_positions = query_positions.data();
        x.rotary.key_positions = key_positions.data();
      }
    }
    x.scale = o.scale;
    x.soft_cap = o.soft_cap;
    x.dropout = {o.dropout, RandomKey::of(11, 3, 5)};
    return x;
  }

  AttentionInputsOf<Real> inputs() const {
    return {q.data(),
            k.data(),
            v.data(),
            o.bias ? bias.data() : nullptr,
            o.relative ? relative.data() : nullptr,
            o.sinks ? sinks.data() : nullptr};
  }

 private:
  static std::vector<Real> owned(std::int64_t rows, std::int64_t row, const std::vector<std::int64_t>& start,
                                 const std::vector<std::int64_t>& count, std::uint64_t seed) {
    const auto values = fovea::test::normals<Real>(rows * row, seed);
    std::vector<Real> data(values.size(), std::numeric_limits<Real>::quiet_NaN());
    for (std::size_t b = 0; b < start.size(); ++b)
      std::copy_n(values.begin() + start[b] * row, count[b] * row, data.begin() + start[b] * row);
    return data;
  }

  PairStrides strides(Options::Over over, std::int64_t T, std::int64_t S) const {
    PairStrides s{o.heads * T * S, T * S, S, 1};
    if (over == Options::Over::sequences) s.sequence = 0;
    if (over == Options::Over::heads) s.head = 0;
    if (over == Options::Over::queries) s.query = 0;
    if (over == Options::Over::keys) s.key = 0;
    if (over == Options::Over::transposed) s.query = 1, s.key = T;
    return s;
  }

  void pair_tensors(std::uint64_t seed) {
    const std::int64_t pairs =
        static_cast<std::int64_t>(o.queries.size()) * o.heads * most_queries * most_keys;
    const auto shares = fovea::test::normals<float>(pairs, seed + 4);
    layout.mask.strides = strides(o.mask_over, most_queries, most_keys);
    layout.bias = strides(o.bias_over, most_queries, most_keys);
    if (o.mask)
      for (const float share : shares) mask.push_back(share > -0.3f ? 2 : 0);
    if (o.bias) bias = fovea::test::normals<Real>(pairs, seed + 5);
    for (std::size_t i = 0; o.infinite_bias && i < bias.size(); i += 3)
      bias[i] = -std::numeric_limits<Real>::infinity();
    const std::int64_t T = most_queries / o.query_block + 1, S = most_keys / o.key_block + 1;
    layout.blocks.query_block = o.query_block;
    layout.blocks.key_block = o.key_block;
    layout.blocks.strides = {0, T * S, S, 1};
    const auto kept = fovea::test::normals<float>(o.heads * T * S, seed + 6);
    if (o.blocks)
      for (const float share : kept) blocks.push_back(share > 0.0f);
  }

  void rotary(std::uint64_t seed) {
    Rotary& r = layout.rotary;
    r.width = o.rotated;
    r.interleaved = o.interleaved;
    r.positions = most_queries + most_keys + 7;
    for (std::int64_t p = 0; p < r.positions; ++p)
      for (std::int64_t e = 0; e < o.rotated / 2; ++e) {
        const double angle = static_cast<double>(p) *
                             std::pow(100.0, -2.0 * static_cast<double>(e) / static_cast<double>(o.rotated));
        cos.push_back(static_cast<float>(std::cos(angle)));
        sin.push_back(static_cast<float>(std::sin(angle)));
      }
    const auto place = [&](std::int64_t row) {
      return static_cast<std::int32_t>((row * 5 + static_cast<std::int64_t>(seed)) % r.positions);
    };
    for (std::int64_t row = 0; row < q_rows; ++row) query_positions.push_back(place(row));
    for (std::int64_t row = 0; row < k_rows; ++row) key_positions.push_back(place(row + 1));
  }
};

/// What a call gives: -7 where nobody wrote.
template <class Real>
struct OptionResult {
  std::vector<Real> out, lse, d_q, d_k, d_v, d_bias, d_relative, d_sinks;

  explicit OptionResult(const OptionCall<Real>& c)
      : out(c.d_out.size(), Real{-7}),
        lse(static_cast<std::size_t>(c.q_rows * c.o.heads), Real{-7}),
        d_q(c.q.size(), Real{-7}),
        d_k(c.k.size(), Real{-7}),
        d_v(c.v.size(), Real{-7}),
        d_bias(c.bias.size(), Real{-7}),
        d_relative(c.relative.size(), Real{-7}),
        d_sinks(c.sinks.size(), Real{-7}) {}

  AttentionGradientsOf<Real> gradients() {
    const auto given = [](std::vector<Real>& x) { return x.empty() ? nullptr : x.data(); };
    return {d_q.data(), d_k.data(), d_v.data(), given(d_bias), given(d_relative), given(d_sinks)};
  }
};

inline OptionResult<float> run(const OptionCall<float>& c, const Execution& exec) {
  OptionResult<float> r(c);
  attention_forward(exec, c.extents(), c.inputs(), r.out.data(), r.lse.data(), c.q_rows);
  attention_backward(exec, c.extents(), c.inputs(), r.out.data(), r.lse.data(), c.q_rows, c.d_out.data(),
                     r.gradients());
  return r;
}

}  // namespace fovea::kernels::test
