#include "fovea/attention/pooling.h"

#include "fovea/attention/record.h"
#include "tests/attention/message.h"
#include "tests/attention/module_check.h"

namespace fovea::attention {
namespace {

using namespace fovea::test;

class Pooling : public ModuleFixture {
 protected:
  static std::vector<double> row(const Tensor& h, std::int64_t n) {
    return {h.f32() + n * h.dim(1), h.f32() + (n + 1) * h.dim(1)};
  }
  // softmax over the rows of a sequence of score(row).
  template <class Score>
  static std::vector<double> softmax(std::int64_t start, std::int64_t count, const Score& score) {
    std::vector<double> weights;
    double sum = 0;
    for (std::int64_t i = 0; i < count; ++i) sum += weights.emplace_back(std::exp(score(start + i)));
    for (double& w : weights) w /= sum;
    return weights;
  }
  std::vector<double> word_weights(const std::string& name, const Tensor& h, std::int64_t start,
                                   std::int64_t count) const {
    const auto u_w = values(name + ".query");
    return softmax(start, count, [&](std::int64_t n) {
      const auto u =
          affine(values(name + ".projection.weight"), values(name + ".projection.bias"), row(h, n));
      double score = 0;
      for (std::size_t a = 0; a < u.size(); ++a) score += std::tanh(u[a]) * u_w[a];
      return score;
    });
  }
  const std::vector<std::int32_t> offsets{0, 3, 3, 4, 9};  // the second is empty
  const std::shared_ptr<const ops::Sequences> sequences = ops::Sequences::packed(offsets);
  const Tensor h = ops::random_tensor({9, 6}, 1);
};

TEST_F(Pooling, WordAttentionIsItsFormula) {
  const WordAttention words(builder, "w", 6, 5);
  set();
  std::vector<double> expected(4 * 6), all;
  for (std::size_t b = 0; b < 4; ++b) {
    const auto w = word_weights("w", h, offsets[b], offsets[b + 1] - offsets[b]);
    all.insert(all.end(), w.begin(), w.end());
    for (std::size_t t = 0; t < w.size(); ++t)
      for (std::size_t d = 0; d < 6; ++d)
        expected[b * 6 + d] += w[t] * row(h, offsets[b] + static_cast<std::int64_t>(t))[d];
  }
  Record record;
  auto ctx = context();
  ctx.recorder = &record;
  expect_close(words(ctx, h, sequences, "words"), expected);
  expect_close(record.weights().at("words"), all);
  check(h, [&](const ops::Context& c, const Tensor& in) { return words(c, in, sequences); });
}

TEST_F(Pooling, StatisticsAreWeightedMeanAndDeviation) {
  const StatisticsPooling pool(builder, "s", 6, 5);
  set();
  std::vector<double> mean(4 * 6), deviation(4 * 6);
  for (std::size_t b = 0; b < 4; ++b) {
    const auto w = word_weights("s", h, offsets[b], offsets[b + 1] - offsets[b]);
    for (std::size_t d = 0; d < 6; ++d) {
      double square = 0;
      for (std::size_t t = 0; t < w.size(); ++t) {
        const double x = row(h, offsets[b] + static_cast<std::int64_t>(t))[d];
        mean[b * 6 + d] += w[t] * x;
        square += w[t] * x * x;
      }
      const double variance = square - mean[b * 6 + d] * mean[b * 6 + d];
      deviation[b * 6 + d] = w.size() > 1 ? std::sqrt(variance) : 1e-5;
    }
  }
  const auto result = pool(context(), h, sequences);
  expect_close(result.mean, mean);
  expect_close(result.deviation, deviation);
  Record record;
  auto ctx = context();
  ctx.recorder = &record;
  pool(ctx, h, sequences, "voice");
  EXPECT_EQ(record.weights().size(), 1u);

  Tensor far = h.clone();  // a thousand deviations away from zero
  for (float& x : far.values()) x += 1000.0f;
  set(0.001f);
  const Tensor of_far = pool(context(), far, sequences).deviation;
  for (std::int64_t d = 0; d < 6; ++d) EXPECT_GT(of_far.f32()[d], 0.01f);
  // Sequences of one row have no deviation, and a root no slope there: gradients are checked without.
  const std::vector<std::int32_t> longer{0, 3, 9};
  const auto two = ops::Sequences::packed(longer);
  set();
  check(
      h, [&](const ops::Context& c, const Tensor& in) { return pool(c, in, two).deviation; }, {}, 1e-2);
  check(h, [&](const ops::Context& c, const Tensor& in) { return pool(c, in, two).mean; });
}

TEST_F(Pooling, QueriesAreMultiHeadAttention) {
  const QueryPooling pool(builder, "q", {.width = 6, .heads = 2, .queries = 3});
  set(0.5f);
  const auto query = values("q.query");
  std::vector<double> expected;
  for (std::size_t b = 0; b < 4; ++b)
    for (std::size_t m = 0; m < 3; ++m) {
      std::vector<double> context(6);
      for (std::size_t head = 0; head < 2; ++head) {
        const auto project = [&](const std::string& which, std::int64_t n) {
          return affine(values("q." + which + ".weight"), values("q." + which + ".bias"), row(h, n));
        };
        const auto w = softmax(offsets[b], offsets[b + 1] - offsets[b], [&](std::int64_t n) {
          const auto k = project("k_proj", n);
          double score = 0;
          for (std::size_t e = 0; e < 3; ++e) score += query[m * 6 + head * 3 + e] * k[head * 3 + e];
          return score / std::sqrt(3.0);
        });
        for (std::size_t t = 0; t < w.size(); ++t) {
          const auto v = project("v_proj", offsets[b] + static_cast<std::int64_t>(t));
          for (std::size_t e = 0; e < 3; ++e) context[head * 3 + e] += w[t] * v[head * 3 + e];
        }
      }
      const auto out = affine(values("q.out_proj.weight"), values("q.out_proj.bias"), context);
      expected.insert(expected.end(), out.begin(), out.end());
    }
  const Tensor y = pool(context(), h, sequences);
  EXPECT_EQ(y.shape(), (Shape{12, 6}));
  expect_close(y, expected);
  check(
      h, [&](const ops::Context& c, const Tensor& in) { return pool(c, in, sequences); }, {}, 4e-3);
}

TEST_F(Pooling, NamesWhatDoesNotFit) {
  const WordAttention words(builder, "w", 6, 5);
  set();
  EXPECT_TRUE(says(message([&] { words(context(), ops::random_tensor({9, 5}, 1), sequences); }), "h [N, D]"));
  EXPECT_TRUE(says(message([&] {
                     words(context(), ops::random_tensor({10, 6}, 1), sequences);
                   }),
                   "B = 4 sequences have 9 rows, h [N, D] is [10, 6]"));
  EXPECT_TRUE(says(message([&] {
                     words(context(), ops::random_tensor({8, 6}, 1), sequences);
                   }),
                   "sequence 3 lies outside"));
  EXPECT_TRUE(says(message([&] { QueryPooling(builder, "q", {.width = 6, .heads = 4}); }),
                   "D = 6 does not divide into H = 4"));
}

}  // namespace
}  // namespace fovea::attention
