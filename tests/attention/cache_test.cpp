#include "fovea/attention/cache.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "fovea/base/random.h"

namespace fovea::attention {
namespace {

using kernels::CacheView;
using ops::PackedHeads;
using ops::Sequences;

constexpr std::int64_t kv_heads = 2, key_width = 6, value_width = 5;
constexpr std::int64_t columns = kv_heads * (key_width + value_width);

// The numbers of token `id`: keys, then values.
Tensor rows_of(const std::vector<int>& ids) {
  Tensor rows = Tensor::empty({static_cast<std::int64_t>(ids.size()), columns});
  for (std::size_t i = 0; i < ids.size(); ++i)
    for (std::int64_t c = 0; c < columns; ++c)
      rows.f32()[static_cast<std::int64_t>(i) * columns + c] =
          normal(RandomKey::of(5, 0, 1), static_cast<std::uint64_t>(ids[i] * columns + c));
  return rows;
}

CacheOptions options(DType dtype, std::int64_t page_tokens) {
  return {.kv_heads = kv_heads,
          .key_width = key_width,
          .value_width = value_width,
          .dtype = dtype,
          .page_tokens = page_tokens};
}

// A cache with what it should hold: the ids of all tokens of each sequence.
struct Checked {
  explicit Checked(const CacheOptions& o) : cache(o) {}

  KeyValueCache cache;
  std::vector<std::vector<int>> past;
  int next = 0;

  void admit(std::int64_t count) {
    cache.admit(count);
    past.resize(past.size() + static_cast<std::size_t>(count));
  }
  void reorder(const std::vector<std::int32_t>& parents) {
    cache.reorder(parents);
    std::vector<std::vector<int>> selected;
    for (const auto parent : parents) selected.push_back(past[static_cast<std::size_t>(parent)]);
    past = selected;
  }
  void append(const std::vector<std::int64_t>& counts) {
    std::vector<int> ids;
    Sequences tokens;
    auto longer = past;
    for (std::size_t b = 0; b < counts.size(); ++b) {
      tokens.start.push_back(static_cast<std::int64_t>(ids.size()));
      tokens.count.push_back(counts[b]);
      for (std::int64_t i = 0; i < counts[b]; ++i) {
        ids.push_back(next);
        longer[b].push_back(next++);
      }
    }
    const Tensor rows = rows_of(ids);
    cache.append({rows, 0}, {rows, kv_heads * key_width}, tokens);
    past = longer;
  }

  // Every token that a query may still reach is there, rounded as the layout rounds.
  void check() const {
    ASSERT_EQ(cache.sequences(), static_cast<std::int64_t>(past.size()));
    const CacheView view = cache.view();
    const kernels::CacheLayout& layout = view.layout;
    const kernels::CacheLayout one{layout.dtype, kv_heads, key_width, value_width, 16};
    std::vector<std::byte> page(static_cast<std::size_t>(one.page_bytes()));
    std::vector<float> key(key_width), value(value_width), key_wanted(key_width), value_wanted(value_width);
    for (std::size_t b = 0; b < past.size(); ++b) {
      const auto length = static_cast<std::int64_t>(past[b].size());
      ASSERT_EQ(cache.length(static_cast<std::int64_t>(b)), length);
      ASSERT_EQ(view.first[b] % 16, 0);
      const std::int64_t window = cache.options().window_left;
      if (window >= 0) {
        ASSERT_LE(view.first[b], std::max<std::int64_t>(0, length - 1 - window));
      }
      if (window < 0) {
        ASSERT_EQ(view.first[b], 0);
      }
      for (std::int64_t j = view.first[b]; j < length; ++j) {
        const Tensor row = rows_of({past[b][static_cast<std::size_t>(j)]});
        kernels::store_tokens(one, page.data(), 3, 1, {row.f32(), {columns, key_width}},
                              {row.f32() + kv_heads * key_width, {columns, value_width}});
        const std::int64_t slot = j - view.first[b];
        for (std::int64_t h = 0; h < kv_heads; ++h) {
          kernels::load_token(layout, view.pages[view.page_start[b] + slot / layout.page_tokens],
                              slot % layout.page_tokens, h, key.data(), value.data());
          kernels::load_token(one, page.data(), 3, h, key_wanted.data(), value_wanted.data());
          ASSERT_EQ(key, key_wanted) << "sequence " << b << " token " << j;
          ASSERT_EQ(value, value_wanted) << "sequence " << b << " token " << j;
        }
      }
    }
  }
};

void run_random(const CacheOptions& o, std::uint32_t seed, int operations) {
  SCOPED_TRACE("seed " + std::to_string(seed) + " page " + std::to_string(o.page_tokens) + " window " +
               std::to_string(o.window_left) + " " + std::string(name_of(o.dtype)));
  Checked checked(o);
  const RandomKey key = RandomKey::of(seed, 0, 2);
  std::uint64_t draws = 0;
  const auto draw = [&](std::uint32_t bound) {
    return static_cast<std::int64_t>(below(key, draws++, bound));
  };
  for (int i = 0; i < operations; ++i) {
    const auto B = static_cast<std::uint32_t>(checked.past.size());
    if (B == 0 || draw(8) == 0) {
      checked.admit(1 + draw(2));
    } else if (draw(3) == 0) {
      std::vector<std::int32_t> parents(static_cast<std::size_t>(draw(7)));
      for (auto& parent : parents) parent = static_cast<std::int32_t>(draw(B));
      checked.reorder(parents);
    } else {
      std::vector<std::int64_t> counts(B);
      for (auto& count : counts) count = draw(10) == 0 ? draw(60) : draw(4);
      checked.append(counts);
    }
    checked.check();
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST(KeyValueCache, HoldsWhatANaiveOneHolds) {
  for (const std::int64_t page : {0, 16, 48})
    for (const std::int64_t window : {-1, 0, 10, 33})
      for (std::uint32_t seed = 0; seed < 3; ++seed) {
        CacheOptions o = options(std::array{DType::f32, DType::bf16, DType::i8}[seed], page);
        o.window_left = window;
        run_random(o, seed, 60);
        if (HasFatalFailure()) return;
      }
}

TEST(KeyValueCache, ForksSharePagesUntilOneWrites) {
  Checked c(options(DType::f32, 16));
  c.admit(1);
  c.append({20});
  EXPECT_EQ(c.cache.pages_in_use(), 2);
  c.reorder({0, 0, 0});
  EXPECT_EQ(c.cache.pages_in_use(), 2);
  c.append({1, 0, 1});
  EXPECT_EQ(c.cache.pages_in_use(),
            4);  // the first page shared by three, two copies of the second, and itself
  c.check();
  c.reorder({1});
  EXPECT_EQ(c.cache.pages_in_use(), 2);
  c.append({12});
  c.append({1});
  EXPECT_EQ(c.cache.pages_in_use(), 3);
  c.check();
  c.reorder({});
  EXPECT_EQ(c.cache.pages_in_use(), 0);
}

TEST(KeyValueCache, SlidingGivesMemoryBack) {
  for (const std::int64_t page : {0, 16}) {
    CacheOptions o = options(DType::f32, page);
    o.window_left = 40;
    Checked c(o);
    c.admit(1);
    for (int i = 0; i < 400; ++i) c.append({1});
    c.check();
    const std::int64_t bytes = c.cache.bytes(), held = c.cache.length(0) - c.cache.first(0);
    EXPECT_LE(held, 41 + (page == 0 ? 128 : 16));
    for (int i = 0; i < 400; ++i) c.append({1});
    EXPECT_EQ(c.cache.bytes(), bytes);
    EXPECT_EQ(c.cache.length(0), 800);
  }
}

// --- attention over it

// The newest tokens look back: queries are made from their own rows.
Tensor decode(const Checked& c, std::int64_t queries, CachedAttentionOptions o) {
  const kernels::ExecutionOwner exec(2);
  ops::Context ctx;
  ctx.exec = exec.get();
  Sequences tokens;
  std::int64_t N = 0;
  for (const auto& past : c.past) {
    const auto count = std::min<std::int64_t>(queries, static_cast<std::int64_t>(past.size()));
    tokens.start.push_back(N);
    tokens.count.push_back(count);
    N += count;
  }
  Tensor q = Tensor::empty({N, o.heads * key_width});
  for (std::int64_t i = 0; i < q.elements(); ++i)
    q.f32()[i] = normal(RandomKey::of(9, 0, 1), static_cast<std::uint64_t>(i));
  return decode_attention(ctx, {q, 0}, c.cache, tokens, o);
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

TEST(CachedAttention, PagedContiguousAndSlidingAgreeBitForBit) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::i8})
    for (const std::int64_t window : {-1, 50}) {
      std::vector<Tensor> results;
      for (const std::int64_t page : {0, 16, 64, 512}) {
        CacheOptions o = options(dtype, page);
        o.window_left = window;
        Checked c(o);
        c.admit(2);
        c.append({300, 5});
        c.reorder({0, 1, 0});
        for (int i = 0; i < 40; ++i) c.append({1, i % 2, 1});
        results.push_back(decode(c, 1, {.heads = 4}));
        EXPECT_TRUE(same_bits(results.back(), results.front())) << page;
      }
    }
}

// A prompt in one piece, in chunks or token by token: the same past, the same answer.
TEST(CachedAttention, ChunksDoNotMatter) {
  Checked whole(options(DType::bf16, 32)), single(options(DType::bf16, 32));
  whole.admit(1);
  single.admit(1);
  whole.append({70});
  for (int i = 0; i < 70; ++i) single.append({1});
  EXPECT_TRUE(same_bits(decode(whole, 5, {.heads = 2}), decode(single, 5, {.heads = 2})));
}

TEST(CachedAttention, EveryOptionChangesTheAnswer) {
  Checked c(options(DType::f32, 16));
  c.admit(1);
  c.append({30});
  const CachedAttentionOptions plain{.heads = 2};
  const Tensor base = decode(c, 3, plain);
  const auto changes = [&](auto change) {
    CachedAttentionOptions o = plain;
    change(o);
    return !same_bits(base, decode(c, 3, o));
  };
  EXPECT_TRUE(changes([](auto& o) { o.causal = false; }));
  EXPECT_TRUE(changes([](auto& o) { o.scale = 0.9f; }));
  EXPECT_TRUE(changes([](auto& o) { o.soft_cap = 0.3f; }));
  EXPECT_TRUE(changes([](auto& o) { o.sinks = Tensor::full({2}, 1.0f); }));
  EXPECT_TRUE(changes([](auto& o) {
    o.distance_bias = Tensor::of({2, 2}, std::vector<float>{1.0f, 0.0f, 2.0f, 0.0f});
  }));
}

// --- what goes wrong

template <class Action>
std::string message(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(KeyValueCache, FullLeavesItAsItWas) {
  for (const std::int64_t page : {0, 16})
    for (const std::int64_t window : {-1, 20}) {
      CacheOptions o = options(DType::f32, page);
      o.capacity = 48;
      o.window_left = window;
      Checked c(o);
      c.admit(1);
      c.append({33});
      c.reorder({0, 0});
      const std::int64_t pages = c.cache.pages_in_use();
      const std::string text = message([&] { c.append({1, 60}); });
      EXPECT_NE(text.find("full"), std::string::npos) << text;
      EXPECT_NE(text.find("B = 2"), std::string::npos) << text;
      EXPECT_NE(text.find("S = 93"), std::string::npos) << text;
      EXPECT_EQ(c.cache.pages_in_use(), pages);
      EXPECT_EQ(c.cache.length(1), 33);
      EXPECT_EQ(c.cache.first(1), 0);
      c.check();
      c.reorder({1});
      c.append({10});
      c.check();
    }
}

TEST(KeyValueCache, NamesWhatDoesNotFit) {
  Checked c(options(DType::i8, 16));
  c.admit(1);
  c.append({3});
  const Tensor rows = rows_of({1, 2});
  const Sequences two{{0}, {2}, {}}, outside{{1}, {2}, {}}, many{{0, 1}, {1, 1}, {}};
  const auto append = [&](const PackedHeads& k, const PackedHeads& v, const Sequences& tokens) {
    return message([&] { c.cache.append(k, v, tokens); });
  };
  const PackedHeads k{rows, 0}, v{rows, kv_heads * key_width};
  EXPECT_NE(append({rows, columns - 3}, v, two).find("E = 6"), std::string::npos);
  EXPECT_NE(append(k, {rows, columns - 3}, two).find("E = 5"), std::string::npos);
  EXPECT_NE(append({Tensor::zeros({2, columns}, DType::bf16), 0}, v, two).find("must be f32"),
            std::string::npos);
  EXPECT_NE(append(k, v, outside).find("2 rows"), std::string::npos);
  EXPECT_NE(append(k, v, many).find("B = 2"), std::string::npos);
  EXPECT_NE(message([&] { c.reorder({0, 1}); }).find("B = 1"), std::string::npos);
  EXPECT_NE(message([&] { KeyValueCache(options(DType::i32, 16)); }).find("i32"), std::string::npos);
  EXPECT_NE(message([&] { KeyValueCache(options(DType::f32, 20)); }).find("16"), std::string::npos);
  EXPECT_NE(message([&] { decode(c, 1, {.heads = 3}); }).find("H = 3"), std::string::npos);
  EXPECT_NE(message([&] { decode(c, 1, {.heads = 2, .sinks = Tensor::full({3}, 1.0f)}); }).find("sinks"),
            std::string::npos);
  c.check();
}

TEST(HypothesisCache, KeepsRowsAsItGrowsAndNamesAWrongWidth) {
  HypothesisCache cache;
  EXPECT_EQ(cache.capacity(), 0);
  for (std::int64_t row = 0; row < 300; ++row) {
    cache.reserve(row + 1, 10);
    ASSERT_GT(cache.capacity(), row);
    std::fill_n(cache.row(row), 10, static_cast<float>(row));
  }
  for (std::int64_t row = 0; row < 300; ++row)
    for (std::int64_t c = 0; c < 10; ++c) ASSERT_EQ(cache.row(row)[c], static_cast<float>(row));
  EXPECT_NE(message([&] { cache.reserve(3, 11); }).find("width 11"), std::string::npos);
  EXPECT_NE(message([&] { cache.reserve(3, 0); }).find("width 0"), std::string::npos);
}

}  // namespace
}  // namespace fovea::attention
