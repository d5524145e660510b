#include "fovea/kernels/decode_attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/kernels/reference/decode_attention.h"
#include "tests/kernels/kernel_sets.h"
#include "tests/kernels/random_rows.h"

namespace fovea::kernels {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

struct Shape {
  std::vector<std::int64_t> keys;
  std::int64_t heads = 1, kv_heads = 1, key_width = 16, value_width = 16;
  DType dtype = DType::f32;
  std::vector<std::int64_t> queries = {};  // one each unless given
  std::int64_t page_tokens = 16;
  bool causal = true;
  std::int64_t window_left = -1;
  float size = 1.0f, soft_cap = 0.0f;
  bool sinks = false;
  std::int64_t distances = 0;

  std::string text() const {
    std::string s = std::string(name_of(dtype)) + " H " + std::to_string(heads) + "/" +
                    std::to_string(kv_heads) + " E " + std::to_string(key_width) + "," +
                    std::to_string(value_width) + " page " + std::to_string(page_tokens) +
                    (causal ? " causal" : "") + " window " + std::to_string(window_left) + " size " +
                    std::to_string(size) + " cap " + std::to_string(soft_cap) + (sinks ? " sinks" : "") +
                    " distances " + std::to_string(distances) + " T,S";
    for (std::size_t b = 0; b < keys.size(); ++b)
      s += " " + std::to_string(queries.empty() ? 1 : queries[b]) + "," + std::to_string(keys[b]);
    return s;
  }
};

// A call with its cache: pages lie in shuffled order, slots of nobody are NaN, and so is what lies between
// heads.
struct Problem {
  Shape shape;
  std::vector<std::int64_t> q_start, q_count, page_start, first, length;
  std::vector<std::vector<std::byte>> memory;
  std::vector<const std::byte*> pages;
  std::vector<float> q, sinks, bias;
  std::int64_t q_rows = 1;
  CacheLayout layout;
  HeadStrides q_strides, out_strides;

  explicit Problem(const Shape& wanted, std::uint64_t seed = 3) : shape(wanted) {
    layout = {shape.dtype, shape.kv_heads, shape.key_width, shape.value_width, shape.page_tokens};
    q_strides = {shape.heads * (shape.key_width + 1) + 2, shape.key_width + 1};
    out_strides = {shape.heads * shape.value_width + 1, shape.value_width};
    for (std::size_t b = 0; b < shape.keys.size(); ++b) {
      q_start.push_back(q_rows);
      q_count.push_back(shape.queries.empty() ? 1 : shape.queries[b]);
      q_rows += q_count.back() + 1;
      page_start.push_back(static_cast<std::int64_t>(pages.size()));
      first.push_back(0);
      length.push_back(shape.keys[b]);
      fill(shape.keys[b], seed + 10 * b);
    }
    q = test::normals(q_rows * q_strides.row, seed + 1, shape.size);
    if (shape.sinks) sinks = test::normals(shape.heads, seed + 2);
    if (shape.distances > 0) bias = test::normals(shape.heads * shape.distances, seed + 3);
  }

  void fill(std::int64_t tokens, std::uint64_t seed) {
    const std::int64_t k_row = shape.kv_heads * shape.key_width, v_row = shape.kv_heads * shape.value_width;
    const auto k = test::normals(tokens * k_row, seed + 4), v = test::normals(tokens * v_row, seed + 5);
    for (std::int64_t at = 0; at < tokens; at += shape.page_tokens) {
      memory.emplace_back(static_cast<std::size_t>(layout.page_bytes()), std::byte{0xff});
      pages.push_back(memory.back().data());
      store_tokens(layout, memory.back().data(), 0, std::min(shape.page_tokens, tokens - at),
                   {k.data() + at * k_row, {k_row, shape.key_width}},
                   {v.data() + at * v_row, {v_row, shape.value_width}});
    }
  }

  DecodeExtents extents() const {
    DecodeExtents x;
    x.sequences = static_cast<std::int64_t>(shape.keys.size());
    x.heads = shape.heads;
    x.q = q_strides;
    x.out = out_strides;
    x.q_start = q_start.data();
    x.q_count = q_count.data();
    x.causal = shape.causal;
    x.window_left = shape.window_left;
    x.scale = 1.0f / std::sqrt(static_cast<float>(shape.key_width));
    x.soft_cap = shape.soft_cap;
    x.sinks = sinks.empty() ? nullptr : sinks.data();
    x.distance_bias = bias.empty() ? nullptr : bias.data();
    x.distances = shape.distances;
    return x;
  }
  CacheView cache() const { return {layout, pages.data(), page_start.data(), first.data(), length.data()}; }
  std::byte* page(std::size_t i) { return memory[i].data(); }
};

struct Result {
  std::vector<float> out, lse;
};

Result decode(const Problem& p, const Execution& exec) {
  Result r{std::vector<float>(p.q_rows * p.out_strides.row, -7.0f),
           std::vector<float>(p.q_rows * p.shape.heads, -7.0f)};
  decode_attention(exec, p.extents(), p.cache(), p.q.data(), r.out.data(), r.lse.data(), p.q_rows);
  return r;
}

bool same_bits(const Result& a, const Result& b) {
  const auto same = [](const auto& x, const auto& y) {
    return x.size() == y.size() &&
           (x.empty() || std::memcmp(x.data(), y.data(), x.size() * sizeof(float)) == 0);
  };
  return same(a.out, b.out) && same(a.lse, b.lse);
}

class DecodeKernels : public ::testing::TestWithParam<KernelSet> {
 protected:
  // What rounding the operands of a product of unit normals may cost: scores are off by `unit` times their
  // size, weights by that and `unit` itself.
  static double tolerance(const Shape& s) {
    const double unit = s.dtype == DType::f32 ? 4e-7 : s.dtype == DType::bf16 ? 0x1p-9 : 0x1p-14;
    return unit * (4.0 + 4.0 * s.size);
  }

  void check(const Shape& shape, std::uint64_t seed = 3) {
    SCOPED_TRACE(shape.text());
    const Problem p(shape, seed);
    const Result r = decode(p, exec_.get());
    const std::vector<double> q = test::widen(p.q);
    std::vector<double> out(r.out.size(), -7.0), lse(r.lse.size(), -7.0);
    reference::decode_attention<double>(p.extents(), p.cache(), q.data(), out.data(), lse.data(), p.q_rows);
    test::expect_near(r.out, out, tolerance(shape), "out");
    test::expect_near(r.lse, lse, tolerance(shape), "log-sum-exp");
  }

  ExecutionOwner exec_{2, GetParam()};
};
// All but the reference, which they are compared with; that one is checked by hand below.
INSTANTIATE_TEST_SUITE_P(Kernels, DecodeKernels, ::testing::ValuesIn(vector_kernels()), set_name);

constexpr DType dtypes[] = {DType::f32, DType::bf16, DType::i8};

TEST_P(DecodeKernels, AwkwardLengths) {
  for (const DType dtype : dtypes)
    for (const std::int64_t page : {16, 48, 256, 2048})
      check({.keys = {0, 1, 15, 16, 17, 255, 256, 257, 511, 530, 1025},
             .heads = 2,
             .kv_heads = 1,
             .dtype = dtype,
             .page_tokens = page});
}

TEST_P(DecodeKernels, GroupsAndWidths) {
  for (const DType dtype : dtypes)
    for (const std::int64_t width : {1, 15, 16, 17, 40, 59, 64, 80, 96, 111, 128, 256})
      for (const std::int64_t group : {1, 2, 3, 4, 8})
        check({.keys = {37, 100},
               .heads = 2 * group,
               .kv_heads = 2,
               .key_width = width,
               .value_width = 257 - width,
               .dtype = dtype,
               .page_tokens = 64});
  for (const DType dtype : dtypes)
    for (const std::int64_t group : {5, 6, 7, 9, 16, 19})
      check({.keys = {37}, .heads = group, .key_width = 32, .value_width = 32, .dtype = dtype});
}

TEST_P(DecodeKernels, SeveralQueries) {
  for (const DType dtype : dtypes)
    for (const bool causal : {true, false})
      for (const std::int64_t window : {-1, 0, 5, 40})
        check({.keys = {0, 3, 20, 270, 600, 16},
               .heads = 4,
               .kv_heads = 2,
               .key_width = 24,
               .value_width = 40,
               .dtype = dtype,
               .queries = {2, 5, 8, 3, 8, 0},
               .causal = causal,
               .window_left = window});
}

TEST_P(DecodeKernels, SoftCapSinksBiasAndWindow) {
  for (const DType dtype : dtypes) {
    const Shape shape{.keys = {0, 7, 300}, .heads = 4, .kv_heads = 2, .key_width = 32, .dtype = dtype};
    for (const float cap : {0.0f, 0.5f})
      for (const bool sinks : {false, true})
        for (const std::int64_t distances : {0, 12, 500})
          for (const std::int64_t window : {-1, 0, 15, 16, 100}) {
            Shape s = shape;
            s.soft_cap = cap;
            s.sinks = sinks;
            s.distances = distances;
            s.window_left = window;
            check(s);
          }
  }
}

TEST_P(DecodeKernels, ManySpans) {
  for (const DType dtype : dtypes)
    check({.keys = {9000, 300, 8192},
           .heads = 2,
           .key_width = 16,
           .value_width = 16,
           .dtype = dtype,
           .page_tokens = 128});
}

TEST_P(DecodeKernels, HugeScores) {
  for (const float size : {30.0f, 1e4f})
    check({.keys = {1, 40, 300}, .key_width = 32, .value_width = 16, .size = size});
}

TEST_P(DecodeKernels, SameBitsForAnyThreadsNeighboursAndPages) {
  for (const DType dtype : dtypes) {
    Shape shape{.keys = {15, 700, 0, 2100, 256},
                .heads = 6,
                .kv_heads = 2,
                .key_width = 48,
                .value_width = 40,
                .dtype = dtype,
                .queries = {1, 4, 1, 1, 2}};
    const Problem p(shape);
    const Result r = decode(p, exec_.get());
    for (const int threads : {1, 3})
      EXPECT_TRUE(same_bits(r, decode(p, ExecutionOwner(threads, GetParam()).get())));
    for (const std::int64_t page : {48, 4096}) {
      Shape other = shape;
      other.page_tokens = page;
      EXPECT_TRUE(same_bits(r, decode(Problem(other), exec_.get()))) << page;
    }
    for (std::size_t b = 0; b < shape.keys.size(); ++b) {
      Problem alone = p;
      alone.shape.keys = {shape.keys[b]};
      alone.q_start = {p.q_start[b]};
      alone.q_count = {p.q_count[b]};
      alone.page_start = {p.page_start[b]};
      alone.first = {p.first[b]};
      alone.length = {p.length[b]};
      const Result one = decode(alone, exec_.get());
      const std::int64_t at = p.q_start[b] * p.out_strides.row, count = p.q_count[b] * p.out_strides.row;
      EXPECT_EQ(std::memcmp(&one.out[at], &r.out[at], count * sizeof(float)), 0) << b;
    }
  }
}

TEST_P(DecodeKernels, RepeatsAreEqual) {
  const Problem p({.keys = {2000, 31}, .heads = 8, .kv_heads = 2, .key_width = 32, .dtype = DType::bf16});
  const Result first = decode(p, exec_.get());
  for (int i = 0; i < 250; ++i) ASSERT_TRUE(same_bits(first, decode(p, exec_.get())));
}

// Giving up what lies before the window changes no bit.
TEST_P(DecodeKernels, GivenUpPagesAreNotMissed) {
  for (const DType dtype : dtypes) {
    Problem p(
        {.keys = {1000}, .heads = 2, .key_width = 32, .dtype = dtype, .page_tokens = 32, .window_left = 290});
    const Result whole = decode(p, exec_.get());
    p.first[0] = 704;  // a multiple of the page not beyond 999 - 290
    p.page_start[0] = 704 / 32;
    for (int i = 0; i < 704 / 32; ++i) p.pages[i] = nullptr;
    EXPECT_TRUE(same_bits(whole, decode(p, exec_.get())));
  }
}

// NaN beside the window, in slots not yet written, and in keys that earlier queries do not see.
TEST_P(DecodeKernels, WhatIsNotSeenDoesNotLeak) {
  for (const DType dtype : dtypes)
    for (const std::int64_t window : {-1, 3, 20}) {
      const Shape shape{.keys = {45},
                        .heads = 2,
                        .key_width = 16,
                        .value_width = 16,
                        .dtype = dtype,
                        .queries = {3},
                        .page_tokens = 64,
                        .window_left = window};
      const Problem clean(shape);
      Problem dirty = clean;
      dirty.pages[0] = dirty.page(0);
      const std::vector<float> poison(32, nan);
      store_tokens(dirty.layout, dirty.page(0), 44, 1, {poison.data(), {16, 16}}, {poison.data(), {16, 16}});
      if (window >= 0)
        store_tokens(dirty.layout, dirty.page(0), 42 - window - 1, 1, {poison.data(), {16, 16}},
                     {poison.data(), {16, 16}});
      const Result a = decode(clean, exec_.get()), b = decode(dirty, exec_.get());
      const std::int64_t row = clean.out_strides.row;
      EXPECT_EQ(std::memcmp(&a.out[row], &b.out[row], 2 * row * sizeof(float)), 0)
          << name_of(dtype) << window;
      EXPECT_FALSE(std::isnan(a.out[3 * row]));
      EXPECT_TRUE(std::isnan(b.out[3 * row])) << "a NaN that is seen stays one";
      EXPECT_TRUE(std::isnan(b.lse[3]));
    }
}

TEST_P(DecodeKernels, NothingSeenIsZero) {
  for (const bool sinks : {false, true}) {
    const Problem p({.keys = {0, 2}, .heads = 2, .queries = {1, 4}, .sinks = sinks});
    const Result r = decode(p, exec_.get());
    for (const std::int64_t row : {1, 3, 4})
      for (std::int64_t h = 0; h < 2; ++h) {
        EXPECT_FLOAT_EQ(r.lse[h * p.q_rows + row], sinks ? p.sinks[h] : -infinity);
        for (std::int64_t e = 0; e < 16; ++e) EXPECT_EQ(r.out[row * p.out_strides.row + h * 16 + e], 0.0f);
      }
  }
}

// Weights by hand: equal scores but for the bias ln 3 at distance 0 and a sink of score 0.
TEST(DecodeAttention, AveragesWhatItSees) {
  for (const KernelSet set : available_kernels()) {
    Problem p({.keys = {3}, .key_width = 1, .value_width = 1, .queries = {2}, .sinks = true, .distances = 2});
    std::fill(p.q.begin(), p.q.end(), 0.0f);
    p.sinks = {0.0f};
    p.bias = {std::log(3.0f), 0.0f};
    const std::vector<float> keys(3, 5.0f), values{1.0f, 10.0f, 100.0f};
    store_tokens(p.layout, p.page(0), 0, 3, {keys.data(), {1, 1}}, {values.data(), {1, 1}});
    const Result r = decode(p, ExecutionOwner(1, set).get());
    EXPECT_NEAR(r.out[p.q_start[0] * p.out_strides.row], 31.0 / 5, 1e-5);
    EXPECT_NEAR(r.out[(p.q_start[0] + 1) * p.out_strides.row], 311.0 / 6, 1e-4);
    EXPECT_NEAR(r.lse[p.q_start[0] + 1], std::log(6.0), 1e-6);
  }
}

// --- the layout

TEST(CacheLayout, GivesBackWhatItRounds) {
  constexpr float bf16_step = 0x1p-8f;
  for (const std::int64_t width : {1, 16, 33}) {
    const auto k = test::normals(3 * width, 1), v = test::normals(3 * width, 2);
    for (const DType dtype : dtypes) {
      const CacheLayout layout{dtype, 1, width, width, 32};
      std::vector<std::byte> page(static_cast<std::size_t>(layout.page_bytes()), std::byte{0xff});
      store_tokens(layout, page.data(), 15, 3, {k.data(), {width, width}}, {v.data(), {width, width}});
      std::vector<float> key(width), value(width);
      for (std::int64_t i = 0; i < 3; ++i) {
        load_token(layout, page.data(), 15 + i, 0, key.data(), value.data());
        float most_k = 0.0f, most_v = 0.0f;
        for (std::int64_t e = 0; e < width; ++e) {
          most_k = std::max(most_k, std::abs(k[i * width + e]));
          most_v = std::max(most_v, std::abs(v[i * width + e]));
        }
        for (std::int64_t e = 0; e < width; ++e) {
          const float x = k[i * width + e], y = v[i * width + e];
          const float k_step = dtype == DType::i8 ? most_k / 127 * 0.5001f : std::abs(x) * bf16_step;
          const float v_step = dtype == DType::i8 ? most_v / 127 * 0.5001f : std::abs(y) * bf16_step;
          EXPECT_NEAR(key[e], x, dtype == DType::f32 ? 0.0f : k_step);
          EXPECT_NEAR(value[e], y, dtype == DType::f32 ? 0.0f : v_step);
        }
      }
    }
  }
}

TEST(CacheLayout, ScalesOfEightBits) {
  const CacheLayout layout{DType::i8, 1, 2, 2, 16};
  std::vector<std::byte> page(static_cast<std::size_t>(layout.page_bytes()));
  const std::vector<float> k{0.0f, 0.0f, -254.0f, 127.0f, infinity, 1.0f},
      v{1e30f, -1e30f, 1e-40f, 0.0f, nan, 2.0f};
  store_tokens(layout, page.data(), 0, 3, {k.data(), {2, 2}}, {v.data(), {2, 2}});
  std::vector<float> key(2), value(2);
  load_token(layout, page.data(), 0, 0, key.data(), value.data());
  EXPECT_EQ(key, (std::vector<float>{0.0f, 0.0f}));
  EXPECT_NEAR(value[1], -1e30f, 1e24f);
  load_token(layout, page.data(), 1, 0, key.data(), value.data());
  EXPECT_EQ(key, (std::vector<float>{-254.0f, 128.0f}));
  load_token(layout, page.data(), 2, 0, key.data(), value.data());
  EXPECT_TRUE(std::isnan(key[0]) && std::isnan(key[1]) && std::isnan(value[0]) && std::isnan(value[1]));
}

TEST(DecodeAttention, NamesABadCall) {
  const ExecutionOwner exec(1);
  const Problem good({.keys = {3}, .heads = 2, .kv_heads = 2});
  const auto message = [&](auto change) {
    Problem p = good;
    DecodeExtents x = p.extents();
    change(p, x);
    std::vector<float> out(p.q_rows * p.out_strides.row);
    try {
      decode_attention(exec.get(), x, p.cache(), p.q.data(), out.data());
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_NE(message([](Problem&, DecodeExtents& x) { x.heads = 3; }).find("H = 3"), std::string::npos);
  EXPECT_NE(message([](Problem& p, DecodeExtents&) { p.layout.dtype = DType::i32; }).find("i32"),
            std::string::npos);
  EXPECT_NE(message([](Problem& p, DecodeExtents&) { p.layout.page_tokens = 8; }).find("16"),
            std::string::npos);
  EXPECT_NE(message([](Problem& p, DecodeExtents&) { p.layout.key_width = 0; }).find("E = 0"),
            std::string::npos);
  EXPECT_NE(message([](Problem&, DecodeExtents& x) { x.soft_cap = -1.0f; }).find("soft-cap"),
            std::string::npos);
}

}  // namespace
}  // namespace fovea::kernels
