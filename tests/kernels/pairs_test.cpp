#include "fovea/kernels/pairs.h"

#include <gtest/gtest.h>

#include <limits>

#include "fovea/base/error.h"
#include "fovea/kernels/reference/pairs.h"
#include "tests/kernels/random_pairs.h"
#include "tests/kernels/random_rows.h"

namespace fovea::kernels {
namespace {

using test::Batch;
using test::normals;

PairProduct product(const Batch& batch, std::int64_t kv_heads, std::int64_t width, std::int64_t spare = 3) {
  PairProduct x;
  x.pairs = batch.extents();
  x.kv_heads = kv_heads;
  x.width = width;
  x.rows = {batch.heads * width + spare, width};
  x.keys = {kv_heads * width + spare, width};
  return x;
}

struct Operands {
  std::vector<float> rows, keys, pairs;
  Operands(const Batch& batch, const PairProduct& x, std::uint64_t seed)
      : rows(normals((batch.query_rows + 1) * x.rows.row, seed)),
        keys(normals((batch.key_rows + 1) * x.keys.row, seed + 1)),
        pairs(normals(batch.offset.back(), seed + 2)) {}
};

// Loops in double written from the formulas.
struct Truth {
  const Batch& batch;
  const PairProduct& x;
  const Operands& a;

  double row(std::size_t b, std::int64_t h, std::int64_t t, std::int64_t e) const {
    return a.rows[(batch.q_start[b] + t) * x.rows.row + h * x.rows.head + e];
  }
  std::int64_t key_at(std::size_t b, std::int64_t h, std::int64_t j, std::int64_t e) const {
    return (batch.k_start[b] + j) * x.keys.row + h * x.kv_heads / batch.heads * x.keys.head + e;
  }
  double pair(std::size_t b, std::int64_t h, std::int64_t t, std::int64_t j) const {
    return a.pairs[batch.offset[b] + (h * batch.T[b] + t) * batch.S[b] + j];
  }
};

TEST(Pairs, AllThreeProductsOfRaggedBatchesOnEverySet) {
  const Batch batch = test::ragged(4, 1);
  for (const std::int64_t kv_heads : {1, 2, 4})
    for (const std::int64_t width : {1, 7, 16, 40}) {
      const auto x = product(batch, kv_heads, width);
      const Operands a(batch, x, 10 * width + kv_heads);
      const Truth truth{batch, x, a};
      std::vector<double> dot(batch.pairs()), mixed = test::widen(a.rows), spread = test::widen(a.keys);
      batch.for_each_row([&](std::size_t b, std::int64_t h, std::int64_t t) {
        for (std::int64_t j = 0; j < batch.S[b]; ++j)
          for (std::int64_t e = 0; e < width; ++e) {
            dot[x.pairs.row(b, h, t) + j] += 0.5 * truth.row(b, h, t, e) * a.keys[truth.key_at(b, h, j, e)];
            mixed[(batch.q_start[b] + t) * x.rows.row + h * x.rows.head + e] +=
                truth.pair(b, h, t, j) * a.keys[truth.key_at(b, h, j, e)];
            spread[truth.key_at(b, h, j, e)] += truth.pair(b, h, t, j) * truth.row(b, h, t, e);
          }
      });
      for (const KernelSet set : available_kernels())
        for (const int threads : {1, 3}) {
          const std::string what = std::string(name_of(set)) + " E=" + std::to_string(width);
          const ExecutionOwner exec(threads, set);
          std::vector<float> pairs(batch.pairs()), rows = a.rows, keys = a.keys;
          pair_dot(exec.get(), x, 0.5f, a.rows.data(), a.keys.data(), pairs.data());
          test::expect_near(pairs, dot, 1e-5, what);
          pair_mix(exec.get(), x, a.pairs.data(), a.keys.data(), true, rows.data());
          test::expect_near(rows, mixed, 1e-5, what);
          pair_mix_transposed(exec.get(), x, a.pairs.data(), a.rows.data(), keys.data());
          test::expect_near(keys, spread, 1e-5, what);
        }
    }
}

TEST(Pairs, MixOverwritesUnlessToldToAdd) {
  const Batch batch(1, {2}, {0});
  const auto x = product(batch, 1, 4, 0);
  const ExecutionOwner exec(1);
  std::vector<float> rows(8, 3.0f);
  pair_mix(exec.get(), x, nullptr, nullptr, true, rows.data());
  EXPECT_EQ(rows, std::vector<float>(8, 3.0f));
  pair_mix(exec.get(), x, nullptr, nullptr, false, rows.data());
  EXPECT_EQ(rows, std::vector<float>(8, 0.0f));
}

TEST(Pairs, ZeroWeightsMeetNoNaN) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  const Batch batch(2, {3}, {5});
  const auto x = product(batch, 1, 9, 0);
  Operands a(batch, x, 5);
  const Operands clean = a;
  for (std::int64_t t = 0; t < 3; ++t)
    for (std::int64_t h = 0; h < 2; ++h) a.pairs[x.pairs.row(0, h, t) + 2] = 0.0f;
  for (std::int64_t j = 0; j < 5; ++j)
    for (std::int64_t h = 0; h < 2; ++h) a.pairs[x.pairs.row(0, h, 1) + j] = 0.0f;
  const std::vector<float> pairs = a.pairs;
  for (std::int64_t e = 0; e < 9; ++e) a.keys[2 * 9 + e] = e % 2 ? nan : inf;
  for (std::int64_t e = 0; e < 18; ++e) a.rows[18 + e] = nan;
  for (const KernelSet set : available_kernels()) {
    const ExecutionOwner exec(1, set);
    std::vector<float> rows(clean.rows.size()), expected_rows = rows, keys(clean.keys.size()),
                                                expected_keys = keys;
    pair_mix(exec.get(), x, pairs.data(), a.keys.data(), false, rows.data());
    pair_mix(exec.get(), x, pairs.data(), clean.keys.data(), false, expected_rows.data());
    EXPECT_EQ(rows, expected_rows) << name_of(set);  // the same bits with and without the dense product
    pair_mix_transposed(exec.get(), x, pairs.data(), a.rows.data(), keys.data());
    pair_mix_transposed(exec.get(), x, pairs.data(), clean.rows.data(), expected_keys.data());
    EXPECT_EQ(keys, expected_keys) << name_of(set);
  }
}

TEST(Pairs, BitsDependNeitherOnNeighboursNorThreads) {
  const Batch many(2, {300, 7, 513}, {40, 300, 290});
  const auto x = product(many, 1, 24);
  const Operands a(many, x, 8);
  std::vector<float> first;
  for (const int threads : {1, 2, 4}) {
    const ExecutionOwner exec(threads);
    std::vector<float> all(many.pairs()), rows = a.rows, keys = a.keys;
    pair_dot(exec.get(), x, 0.3f, a.rows.data(), a.keys.data(), all.data());
    pair_mix(exec.get(), x, a.pairs.data(), a.keys.data(), false, rows.data());
    pair_mix_transposed(exec.get(), x, a.pairs.data(), a.rows.data(), keys.data());
    all.insert(all.end(), rows.begin(), rows.end());
    all.insert(all.end(), keys.begin(), keys.end());
    if (first.empty()) first = all;
    EXPECT_EQ(first, all);
  }
  const Batch alone(2, {7}, {300});
  const auto one = product(alone, 1, 24);
  std::vector<float> pairs(alone.pairs());
  const ExecutionOwner exec(1);
  pair_dot(exec.get(), one, 0.3f, a.rows.data() + 300 * x.rows.row, a.keys.data() + 40 * x.keys.row,
           pairs.data());
  EXPECT_TRUE(std::equal(pairs.begin(), pairs.end(), first.begin() + many.offset[1]));
}

TEST(Pairs, KeysByRow) {
  const Batch batch(2, {2, 1}, {3, 2});
  auto x = product(batch, 2, 5);
  const Operands a(batch, x, 4);
  const std::vector<std::int32_t> key_rows = {4, 0, 2, 2, 1};
  std::vector<float> gathered;
  for (const std::int32_t row : key_rows)
    gathered.insert(gathered.end(), a.keys.begin() + row * x.keys.row,
                    a.keys.begin() + (row + 1) * x.keys.row);
  for (const KernelSet set : available_kernels()) {
    const ExecutionOwner exec(2, set);
    std::vector<float> pairs(batch.pairs()), expected = pairs, rows = a.rows, expected_rows = a.rows;
    x.key_rows = nullptr;
    pair_dot(exec.get(), x, 1.0f, a.rows.data(), gathered.data(), expected.data());
    pair_mix(exec.get(), x, a.pairs.data(), gathered.data(), false, expected_rows.data());
    x.key_rows = key_rows.data();
    pair_dot(exec.get(), x, 1.0f, a.rows.data(), a.keys.data(), pairs.data());
    pair_mix(exec.get(), x, a.pairs.data(), a.keys.data(), false, rows.data());
    EXPECT_EQ(pairs, expected) << name_of(set);
    EXPECT_EQ(rows, expected_rows) << name_of(set);
    EXPECT_THROW(pair_mix_transposed(exec.get(), x, a.pairs.data(), a.rows.data(), gathered.data()), Error);
  }
}

TEST(Pairs, DropoutFollowsThePairsNumbers) {
  const Batch batch(2, {3, 40}, {5, 33});
  const Dropout dropout{0.3f, RandomKey::of(7, 2, 1001)};
  const auto x = batch.extents();
  const std::vector<float> a = normals(batch.offset.back(), 3);
  for (const KernelSet set : available_kernels()) {
    const ExecutionOwner exec(2, set);
    std::vector<float> out(batch.pairs());
    pair_dropout(exec.get(), x, dropout, a.data(), out.data());
    batch.for_each_row([&](std::size_t b, std::int64_t h, std::int64_t t) {
      for (std::int64_t j = 0; j < batch.S[b]; ++j) {
        const std::uint64_t element = ((b * 2 + std::size_t(h)) << 40) + std::size_t(t * batch.S[b] + j);
        const auto at = static_cast<std::size_t>(x.row(std::int64_t(b), h, t) + j);
        ASSERT_EQ(out[at], dropout.multiplier(element) * a[at]) << name_of(set);
      }
    });
  }
}

TEST(Pairs, HeadsThatDoNotDivide) {
  const Batch batch(4, {2}, {3});
  const ExecutionOwner exec(1);
  try {
    pair_dot(exec.get(), product(batch, 3, 5), 1.0f, nullptr, nullptr, nullptr);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("H = 4 query heads cannot share 3 key heads"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace fovea::kernels
