#include "fovea/attention/attend.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "fovea/attention/classic.h"
#include "fovea/attention/match_score.h"
#include "fovea/attention/relative_bias.h"
#include "fovea/ops/elementwise.h"
#include "tests/ops/gradient_check.h"

namespace fovea::attention {
namespace {

using ops::check_gradients;
using ops::Context;
using ops::random_tensor;

constexpr std::int64_t width = 6;  // of queries and keys

/// Every score by its name, with parameters that are random and not small.
struct Scores {
  nn::Parameters parameters;
  std::vector<std::shared_ptr<Score>> all;

  explicit Scores(std::int64_t heads = 2) {
    nn::Builder builder(parameters);
    const ScoreHeads side_by_side{heads, heads, width / heads};
    all.push_back(std::make_shared<DotScore>(side_by_side));
    all.push_back(std::make_shared<DotScore>(DotScore::scaled(side_by_side)));
    all.push_back(std::make_shared<GeneralScore>(builder, "general", width, side_by_side));
    all.push_back(std::make_shared<CosineScore>(builder, "cosine", side_by_side, 3.0f));
    all.push_back(
        std::make_shared<AdditiveScore>(builder, "additive", width, width, ScoreHeads{heads, heads, 5}));
    all.push_back(std::make_shared<AdditiveScore>(
        builder, "normed", width, width, ScoreHeads{heads, heads, 5}, AdditiveOptions{.normalised = true}));
    all.push_back(
        std::make_shared<ConcatScore>(builder, "concat", width, width, ScoreHeads{heads, heads, 4}));
    parameters.allocate(3);
    const Tensor noise = random_tensor(parameters.values().shape(), 21, 0.7f);
    std::ranges::copy(noise.values(), parameters.values().f32());
  }
};

class Attend : public testing::Test {
 protected:
  Context context() const {
    Context ctx;
    ctx.exec = owner_.get();
    return ctx;
  }
  Attended attend_with(const Context& ctx, const Score& score, const std::vector<Tensor>& in,
                       const AttendOptions& how = {}) const {
    const Memory memory = remember(ctx, score, {in[1]}, {in[2]}, 3, keys_);
    return attend(ctx, score, {in[0]}, queries_, memory, how);
  }
  Tensor answer(const Score& score, const AttendOptions& how = {}) const {
    return attend_with(context(), score, inputs_, how).context;
  }
  static bool equal(const Tensor& a, const Tensor& b) { return std::ranges::equal(a.values(), b.values()); }
  static void expect_near(const Tensor& a, const Tensor& b, double tolerance = 3e-6) {
    ASSERT_EQ(a.shape().text(), b.shape().text());
    for (std::int64_t i = 0; i < a.elements(); ++i) ASSERT_NEAR(a.f32()[i], b.f32()[i], tolerance) << i;
  }
  static std::string refusal(const std::function<void()>& call) {
    try {
      call();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  // T = 4 and 3, S = 5 and 3.
  kernels::ExecutionOwner owner_{2};
  std::shared_ptr<const Sequences> queries_ = Sequences::packed(std::vector<std::int32_t>{0, 4, 7});
  std::shared_ptr<const Sequences> keys_ = Sequences::packed(std::vector<std::int32_t>{0, 5, 8});
  std::vector<Tensor> inputs_{random_tensor({7, width}, 1), random_tensor({8, width}, 2),
                              random_tensor({8, 6}, 3)};
};

// The formula of each score, pair by pair in double, from its own parameters.
double slow_score(const Scores& scores, const Score& score, const std::vector<Tensor>& in, std::int64_t h,
                  std::int64_t t, std::int64_t j) {
  const float *q = in[0].f32() + t * width, *k = in[1].f32() + j * width;
  const auto weight = [&](const std::string& name) -> const float* {
    for (const auto& view : scores.parameters.views())
      if (view.name == name) return view.value.f32();
    return nullptr;
  };
  const std::int64_t E = score.width();
  double sum = 0.0;
  if (score.name() == "dot" || score.name() == "scaled_dot") {
    for (std::int64_t e = 0; e < E; ++e) sum += double(q[h * E + e]) * k[h * E + e];
    return score.name() == "dot" ? sum : sum / std::sqrt(double(E));
  }
  if (score.name() == "general") {
    const float* W = weight("general.W.weight");
    for (std::int64_t e = 0; e < E; ++e)
      for (std::int64_t d = 0; d < width; ++d)
        sum += double(W[(h * E + e) * width + d]) * q[d] * k[h * E + e];
    return sum;
  }
  if (score.name() == "cosine") {
    double qq = 0.0, kk = 0.0;
    for (std::int64_t e = 0; e < E; ++e) {
      const double a = q[h * E + e], b = k[h * E + e];
      sum += a * b, qq += a * a, kk += b * b;
    }
    return weight("cosine.sharpness")[h] * sum / std::sqrt(qq * kk);
  }
  const std::string name = score.name() == "concat"                  ? "concat"
                           : E == 5 && &score == scores.all[5].get() ? "normed"
                                                                     : "additive";
  const float *W = weight(name + ".W.weight"), *U = weight(name + ".U.weight"), *b = weight(name + ".U.bias");
  const float *v = weight(name + ".v"), *g = weight(name + ".g");
  double length = 0.0;
  for (std::int64_t d = 0; d < E; ++d) length += double(v[h * E + d]) * v[h * E + d];
  for (std::int64_t d = 0; d < E; ++d) {
    double inner = b ? b[h * E + d] : 0.0;
    for (std::int64_t e = 0; e < width; ++e)
      inner += double(W[(h * E + d) * width + e]) * q[e] + double(U[(h * E + d) * width + e]) * k[e];
    sum += v[h * E + d] * std::tanh(inner) * (g ? g[h] / std::sqrt(length) : 1.0);
  }
  return sum;
}

TEST_F(Attend, EveryScoreIsItsFormula) {
  const Scores scores;
  for (const auto& score : scores.all) {
    SCOPED_TRACE(score->name());
    AttendOptions how;
    how.weights = WeightsWanted::yes;
    how.temperature = score->form() == Score::Form::dot ? 0.7f : 1.0f;
    const Attended attended = attend_with(context(), *score, inputs_, how);
    std::size_t at = 0;
    for (std::int64_t b = 0; b < 2; ++b)
      for (std::int64_t h = 0; h < 2; ++h)
        for (std::int64_t t = 0; t < queries_->count[b]; ++t) {
          std::vector<double> w;
          double sum = 0.0;
          for (std::int64_t j = 0; j < keys_->count[b]; ++j)
            sum += w.emplace_back(
                std::exp(slow_score(scores, *score, inputs_, h, queries_->start[b] + t, keys_->start[b] + j) /
                         how.temperature));
          for (const double x : w) ASSERT_NEAR(attended.weights.f32()[at++], x / sum, 3e-6);
        }
    EXPECT_EQ(at, std::size_t(attended.weights.elements()));
  }
}

TEST_F(Attend, EveryWayServesTheSameAnswer) {
  const Scores scores;
  for (const auto& score : scores.all)
    for (const Visibility& visible :
         {Visibility::everything(), Visibility::causal(), Visibility::window(1, 0)}) {
      SCOPED_TRACE(score->name());
      AttendOptions tiled, explicit_pairs;
      tiled.visible = explicit_pairs.visible = visible;
      explicit_pairs.weights = WeightsWanted::with_gradient;
      const Attended a = attend_with(context(), *score, inputs_, tiled);
      const Attended b = attend_with(context(), *score, inputs_, explicit_pairs);
      EXPECT_NE(a.kernel, Kernel::pairs);
      EXPECT_EQ(b.kernel, Kernel::pairs);
      expect_near(a.context, b.context);
      EXPECT_FALSE(a.weights.defined());
      EXPECT_TRUE(b.weights.defined());
    }
}

TEST_F(Attend, TermsMeanTheSameEitherWay) {
  const Scores scores;
  auto terms = std::make_shared<PairTerms>();
  terms->prefix = {2, 0};
  terms->bias = random_tensor({1, 2, 4, 5}, 8);
  terms->mask = Tensor::zeros({2, 1, 4, 5}, DType::i8);
  for (int i = 0; i < 40; ++i) terms->mask.raw()[i] = std::byte(i % 4 != 1);
  terms->blocks = Tensor::zeros({1, 1, 2, 3}, DType::i8);
  terms->query_block = terms->key_block = 2;
  for (int i = 0; i < 6; ++i) terms->blocks.raw()[i] = std::byte(i != 2);
  const DistanceBias by_distance = alibi(2, {-9, 9});
  terms->relative = by_distance.values;
  terms->relative_zero = by_distance.distances.zero();
  for (const bool to_end : {true, false}) {
    AttendOptions how;
    how.visible = Visibility::causal();
    how.visible.to_end = to_end;
    how.terms = terms;
    AttendOptions by_pairs = how;
    by_pairs.weights = WeightsWanted::with_gradient;
    expect_near(answer(*scores.all[1], how), answer(*scores.all[1], by_pairs));
  }
}

TEST_F(Attend, EveryOptionChangesTheAnswer) {
  const Scores scores;
  const Score& dot = *scores.all[1];
  const Tensor plain = answer(dot);
  std::vector<std::pair<std::string, AttendOptions>> others;
  const auto with = [&](const std::string& name, auto change) {
    AttendOptions how;
    change(how);
    others.emplace_back(name, how);
  };
  with("causal", [](auto& o) { o.visible = Visibility::causal(); });
  with("window", [](auto& o) { o.visible = Visibility::window(1, 1); });
  with("soft cap", [](auto& o) { o.soft_cap = 0.5f; });
  with("sparsemax", [](auto& o) { o.normaliser = Normaliser::sparsemax; });
  with("hardmax", [](auto& o) { o.normaliser = Normaliser::hardmax; });
  with("monotonic", [](auto& o) { o.normaliser = Normaliser::monotonic; });
  with("temperature", [](auto& o) { o.temperature = 2.0f; });
  with("local-p", [](auto& o) { o.local = {Tensor::full({7}, 1.3f), 2}; });
  with("sinks", [](auto& o) {
    auto terms = std::make_shared<PairTerms>();
    terms->sinks = Tensor::full({2}, 0.5f);
    o.terms = terms;
  });
  with("relative keys", [](auto& o) { o.relative_vectors.keys = random_tensor({5, 3}, 30); });
  with("relative values", [](auto& o) { o.relative_vectors.values = random_tensor({5, 3}, 31); });
  for (std::size_t i = 0; i < others.size(); ++i) {
    const Tensor other = answer(dot, others[i].second);
    EXPECT_FALSE(equal(plain, other)) << others[i].first;
    for (std::size_t j = 0; j < i; ++j)
      EXPECT_FALSE(equal(other, answer(dot, others[j].second)))
          << others[i].first << " is " << others[j].first;
  }
}

TEST_F(Attend, H01_GradientsOfEveryScoreAndNormaliser) {
  Scores scores;
  scores.parameters.allocate_gradients();
  std::vector<Tensor> inputs = inputs_;
  for (auto& parameter : scores.parameters.all()) inputs.push_back(parameter.value);
  for (const auto& score : scores.all)
    for (const Normaliser normaliser :
         {Normaliser::softmax, Normaliser::monotonic}) {  // sparsemax has kinks: in ops
      SCOPED_TRACE(std::string(score->name()) + " " + std::to_string(int(normaliser)));
      check_gradients(
          [&](const Context& ctx, const std::vector<Tensor>& in) {
            AttendOptions how;
            how.normaliser = normaliser;
            return attend_with(ctx, *score, in, how).context;
          },
          inputs_, context(), 1e-2);
    }
}

TEST_F(Attend, H01_OneTensorMayBeQueriesKeysAndValues) {
  const auto words = Sequences::packed(std::vector<std::int32_t>{0, 3, 4, 9});
  const Scores scores(2);
  for (const auto& score : scores.all) {
    SCOPED_TRACE(score->name());
    check_gradients(
        [&](const Context& ctx, const std::vector<Tensor>& in) {
          const Memory memory = remember(ctx, *score, {in[0]}, {in[0]}, 3, words);
          return attend(ctx, *score, {in[0]}, words, memory).context;
        },
        {random_tensor({9, width}, 5)}, context());
  }
}

TEST_F(Attend, ParametersOfScoresGetTheirGradients) {
  for (const bool by_pairs : {false, true}) {
    Scores scores;
    scores.parameters.allocate_gradients();
    for (const auto& score : scores.all) {
      AttendOptions how;
      if (by_pairs) how.weights = WeightsWanted::with_gradient;
      Context ctx = context();
      ctx.exec.kernels = kernels::KernelSet::reference;
      const auto loss = [&](const Context& c) {
        const Tensor y = attend_with(c, *score, inputs_, how).context;
        const Tensor r = random_tensor(y.shape(), 50);
        double sum = 0.0;
        for (std::int64_t i = 0; i < y.elements(); ++i) sum += double(y.f32()[i]) * r.f32()[i];
        if (c.tape) ops::give_gradient(y, r.clone());
        return sum;
      };
      scores.parameters.zero_gradients();
      ops::Tape tape;
      Context taped = ctx;
      taped.tape = &tape;
      std::vector<Tensor> inputs = inputs_;
      loss(taped);
      tape.backward();
      for (auto& parameter : scores.parameters.all())
        for (std::int64_t i = 0; i < parameter.value.elements(); i += 3) {
          float& w = parameter.value.f32()[i];
          const float rest = w, h = 0.01f;
          w = rest + h;
          const double above = loss(ctx);
          w = rest - h;
          const double below = loss(ctx);
          w = rest;
          EXPECT_NEAR(parameter.value.grad().f32()[i], (above - below) / (2 * h), 6e-3)
              << score->name() << ": " << parameter.name << " " << i;
        }
    }
  }
}

TEST_F(Attend, SaysWhatServesItAndWhyNothingFaster) {
  const Scores scores;
  AttendOptions how;
  EXPECT_EQ(serving(*scores.all[0], how).kernel, Kernel::tiled_dot);
  EXPECT_EQ(serving(*scores.all[4], how).kernel, Kernel::tiled_additive);
  EXPECT_EQ(serving(*scores.all[4], how).why, "");
  how.normaliser = Normaliser::sparsemax;
  EXPECT_EQ(serving(*scores.all[0], how).kernel, Kernel::pairs);
  EXPECT_NE(serving(*scores.all[0], how).why, "");
}

TEST_F(Attend, WhatExcludesEachOtherIsRefused) {
  const Scores scores;
  AttendOptions how;
  how.soft_cap = 3.0f;
  EXPECT_NE(refusal([&] { answer(*scores.all[4], how); }).find("a soft cap with additive scores"),
            std::string::npos);
  how = {};
  how.normaliser = Normaliser::monotonic;
  how.temperature = 2.0f;
  EXPECT_NE(refusal([&] { answer(*scores.all[0], how); }).find("it has neither"), std::string::npos);
  how = {};
  how.temperature = 0.0f;
  EXPECT_NE(refusal([&] { answer(*scores.all[0], how); }).find("temperature"), std::string::npos);
  how = {};
  how.relative_vectors.keys = Tensor::zeros({3, 5});
  EXPECT_NE(refusal([&] { answer(*scores.all[4], how); }).find("they join dot products"), std::string::npos);
  EXPECT_NE(refusal([] { DotScore({4, 3, 8}); }).find("3 key heads do not divide H = 4"), std::string::npos);
}

TEST_F(Attend, PlainTensorsWithSharedKeyHeads) {
  const Tensor q = random_tensor({2, 3, 4, 5}, 1), k = random_tensor({2, 6, 2, 5}, 2),
               v = random_tensor({2, 6, 2, 7}, 3);
  const Tensor out = attend(context(), q, k, v, {.visible = Visibility::causal()});
  EXPECT_EQ(out.shape().text(), "[2, 3, 4, 7]");
  for (std::int64_t b = 0; b < 2; ++b)
    for (std::int64_t t = 0; t < 3; ++t)
      for (std::int64_t h = 0; h < 4; ++h) {
        std::vector<double> w;
        double sum = 0.0;
        for (std::int64_t j = 0; j <= t + 3; ++j) {
          double dot = 0.0;
          for (std::int64_t e = 0; e < 5; ++e)
            dot +=
                double(q.f32()[((b * 3 + t) * 4 + h) * 5 + e]) * k.f32()[((b * 6 + j) * 2 + h / 2) * 5 + e];
          sum += w.emplace_back(std::exp(dot / std::sqrt(5.0)));
        }
        for (std::int64_t e = 0; e < 7; ++e) {
          double mixed = 0.0;
          for (std::size_t j = 0; j < w.size(); ++j)
            mixed += w[j] / sum * v.f32()[((b * 6 + std::int64_t(j)) * 2 + h / 2) * 7 + e];
          ASSERT_NEAR(out.f32()[((b * 3 + t) * 4 + h) * 7 + e], mixed, 1e-5);
        }
      }
  EXPECT_NE(refusal([&] {
              attend(context(), q, random_tensor({2, 6, 2, 4}, 2), v);
            }).find("[B, S, H_kv, E]"),
            std::string::npos);
}

TEST_F(Attend, LocationSeesWhereItLookedBefore) {
  nn::Parameters parameters;
  nn::Builder builder(parameters);
  const LocationScore score(builder, "location", width, width, {1, 1, 5}, 4, 3);
  parameters.allocate(2);
  const auto one_each = Sequences::packed(std::vector<std::int32_t>{0, 1, 2});
  const Tensor q = random_tensor({2, width}, 1);
  const Memory memory = remember(context(), score, {inputs_[1]}, {inputs_[2]}, 6, keys_);
  const auto answer_after = [&](const Tensor& previous) {
    const Memory moved = score.memory_after(context(), memory, previous);
    return attend(context(), score, {q}, one_each, moved).context;
  };
  const Tensor nowhere = answer_after(Tensor::zeros({8}));
  expect_near(nowhere, attend(context(), score, {q}, one_each, memory).context);
  Tensor first = Tensor::zeros({8});
  first.f32()[0] = first.f32()[5] = 1.0f;
  EXPECT_FALSE(equal(answer_after(first), nowhere));
  check_gradients(
      [&](const Context& ctx, const std::vector<Tensor>& in) {
        const Memory moved =
            score.memory_after(ctx, remember(ctx, score, {inputs_[1]}, {inputs_[2]}, 6, keys_), in[0]);
        return attend(ctx, score, {q}, one_each, moved).context;
      },
      {random_tensor({8}, 9, 0.5f)}, context());
}

TEST_F(Attend, ScoresHaveNames) {
  for (const std::string& name : score_names()) {
    nn::Parameters parameters;
    nn::Builder builder(parameters);
    const auto score =
        make_score(builder, "score", {.name = name, .query_width = width, .key_width = width, .heads = 2});
    parameters.allocate(1);
    EXPECT_EQ(score->heads(), 2);
    EXPECT_EQ(answer(*score).shape().text(), "[7, 6]") << name;
    if (name != "additive_normalised") {
      EXPECT_EQ(score->name(), name);
    }
  }
  for (const char* name : {"softmax", "sparsemax", "hardmax", "monotonic"})
    EXPECT_EQ(name_of(normaliser_named(name)), name);
  EXPECT_NE(refusal([] { normaliser_named("sparsmax"); }).find("did you mean sparsemax?"), std::string::npos);
  nn::Parameters parameters;
  nn::Builder builder(parameters);
  EXPECT_NE(refusal([&] { make_score(builder, "s", {.name = "aditive"}); }).find("did you mean additive?"),
            std::string::npos);
  EXPECT_NE(refusal([&] {
              make_score(builder, "s", {.name = "dot", .query_width = 4, .key_width = 6});
            }).find("queries 4 wide, keys 6"),
            std::string::npos);
}

// A match of one hidden layer without biases is Luong's concat; a score of one's own may be anything.
TEST_F(Attend, MatchAndCustomScores) {
  nn::Parameters parameters;
  nn::Builder builder(parameters);
  const ConcatScore concat(builder, "concat", width, width, {1, 1, 5});
  const MatchScore match(builder, "match", width, width, 1, {{5}});
  const MatchScore deep(builder, "deep", width, width, 2, {{7, 4}, kernels::Activation::gelu});
  parameters.allocate(4);
  const auto weight = [&](const std::string& name) {
    for (const auto& view : parameters.views())
      if (view.name == name) return view.value;
    return Tensor();
  };
  for (const auto& [from, to] : {std::pair{"concat.W.weight", "match.layers.0.query.weight"},
                                 {"concat.U.weight", "match.layers.0.key.weight"},
                                 {"concat.v", "match.layers.1.weight"}})
    std::ranges::copy(weight(from).values(), weight(to).f32());
  const auto attend_whole = [&](const Score& score) {
    const Memory memory = remember(context(), score, {inputs_[1]}, {inputs_[2]}, 6, keys_);
    return attend(context(), score, {inputs_[0]}, queries_, memory).context;
  };
  expect_near(attend_whole(concat), attend_whole(match));
  EXPECT_EQ(answer(deep).shape().text(), "[7, 6]");
  const DotScore dot({2, 2, 3});
  const CustomScore own("own", 2,
                        [](const Context& ctx, const Tensor& q, const Tensor& k, const ops::PairsPtr& pairs) {
                          return ops::dot_scores(ctx, {q}, {k}, pairs, {2, 3, 1.0f});
                        });
  expect_near(answer(dot), answer(own));
  EXPECT_EQ(attend_with(context(), own, inputs_).kernel, Kernel::pairs);
  check_gradients(
      [&](const Context& ctx, const std::vector<Tensor>& in) { return attend_with(ctx, deep, in).context; },
      inputs_, context(), 1e-2);
}

TEST_F(Attend, ClassicModulesAreTheirFormulas) {
  nn::Parameters parameters;
  nn::Builder builder(parameters);
  const AdditiveAttention bahdanau(builder, "bahdanau", width, width, 5);
  const LuongAttention dot(builder, "dot", LuongAttention::ScoreKind::dot, width, width);
  const LuongAttention general(builder, "general", LuongAttention::ScoreKind::general, width, width);
  const LuongAttention concat(builder, "concat", LuongAttention::ScoreKind::concat, width, width);
  parameters.allocate(6);
  const Context ctx = context();
  const Memory sentence = bahdanau.remember(ctx, inputs_[1], keys_);
  expect_near(bahdanau(ctx, inputs_[0], queries_, sentence).context,
              attend(ctx, bahdanau.score(), {inputs_[0]}, queries_, sentence).context, 0);
  for (const auto* luong : {&dot, &general, &concat}) {
    const auto result = (*luong)(ctx, inputs_[0], queries_, luong->remember(ctx, inputs_[1], keys_));
    EXPECT_EQ(result.state.shape().text(), "[7, 6]");
    const std::string name = std::string(luong->score().name());
    const float *Wc = nullptr, *Wq = nullptr;
    for (const auto& view : parameters.views()) {
      if (view.name == name + ".W_context.weight") Wc = view.value.f32();
      if (view.name == name + ".W_query.weight") Wq = view.value.f32();
    }
    for (std::int64_t n = 0; n < 7; ++n)
      for (std::int64_t d = 0; d < width; ++d) {
        double sum = 0.0;
        for (std::int64_t e = 0; e < width; ++e)
          sum += double(Wc[d * width + e]) * result.attended.context.f32()[n * width + e] +
                 double(Wq[d * width + e]) * inputs_[0].f32()[n * width + e];
        ASSERT_NEAR(result.state.f32()[n * width + d], std::tanh(sum), 2e-6) << name;
      }
  }
  EXPECT_THROW(LuongAttention(builder, "bad", LuongAttention::ScoreKind::dot, 4, 5), Error);
}

}  // namespace
}  // namespace fovea::attention
