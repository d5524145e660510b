#include "fovea/models/word_attention.h"

#include <gtest/gtest.h>

#include "fovea/base/error.h"
#include "fovea/models/transformer.h"
#include "tests/decoding/small_model.h"
#include "tests/models/with_threads.h"

namespace fovea::models {
namespace {

using From = AttentionPick::From;

Tensor filled(std::int64_t H, std::int64_t T, std::int64_t S, const std::vector<float>& values) {
  Tensor out = Tensor::zeros({H, T, S});
  std::copy(values.begin(), values.end(), out.f32());
  return out;
}

/// Source pieces "a", "b1", "b2", </s> of words a and b; target pieces "x", "y1", "y2", </s> of words x and
/// y. Two layers, the first of two heads.
PairAttention small_pair() {
  attention::Recording recording;
  recording.source = recording.target_in = recording.target_out = std::vector<std::string>(4);
  recording.layers.push_back({attention::Side::cross, 0,
                              filled(2, 4, 4, {.1f, .2f, .3f, .4f, .5f, .1f, .1f, .3f,  // head 0: x, y1
                                               .1f, .4f, .4f, .1f, .6f, .2f, .1f, .1f,  //         y2, </s>
                                               .9f, .1f, 0,   0,   0,   1,   0,   0,    // head 1
                                               0,   0,   1,   0,   .3f, .3f, .3f, .1f})});
  recording.layers.push_back(
      {attention::Side::cross, 1, filled(1, 4, 4, {0, 0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0})});
  return PairAttention(std::move(recording), {{{0, 1.0f}}, {{1, 1.0f}}, {{1, 1.0f}}, {}},
                       {{{0, 1.0f}}, {{1, 1.0f}}, {{1, 1.0f}}}, 2, 2);
}

void expect_weights(const AttentionPick& pick, const std::vector<float>& expected) {
  const WordWeights found = small_pair().words(pick);
  ASSERT_EQ(found.weights.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(found.weights[i], expected[i], 1e-6) << text_of(pick) << " [" << i << "]";
}

TEST(WordAttention, SourcePartsAddUpTargetPartsAreAveraged) {
  expect_weights({.from = From::head, .layer = 0, .head = 0}, {.1f, .5f, .3f, .5f});
  expect_weights({.from = From::head, .layer = 0, .head = 1}, {.9f, .1f, 0, 1});
}

TEST(WordAttention, ShiftTakesTheStepThatReadsTheToken) {
  expect_weights({.from = From::head, .layer = 0, .head = 0, .shift = true}, {.5f, .2f, .35f, .55f});
}

TEST(WordAttention, MeansAreOverHeadsOfALayerOrOfAll) {
  expect_weights({.from = From::layer_mean, .layer = 0}, {.5f, .3f, .15f, .75f});
  expect_weights({.from = From::layer_mean, .layer = 1}, {0, 0, 1, 0});
  expect_weights({.from = From::mean}, {1.0f / 3, .2f, 1.3f / 3, .5f});
}

TEST(WordAttention, PiecesOfTwoWordsCountForBothByTheirShares) {
  attention::Recording recording;
  recording.source = std::vector<std::string>(2);
  recording.target_in = recording.target_out = std::vector<std::string>(2);
  recording.layers.push_back({attention::Side::cross, 0, filled(1, 2, 2, {.8f, .2f, .5f, .5f})});
  const PairAttention pair(std::move(recording), {{{0, .75f}, {1, .25f}}, {}}, {{{0, .5f}, {1, .5f}}}, 2, 2);
  const auto found = pair.words({.from = From::mean});
  EXPECT_FLOAT_EQ(found.at(0, 0), .6f);
  EXPECT_FLOAT_EQ(found.at(0, 1), .2f);
  EXPECT_FLOAT_EQ(found.at(1, 0), .6f);
}

TEST(WordAttention, ListsWhatThereIs) {
  std::string all;
  for (const auto& pick : small_pair().picks()) all += text_of(pick) + "; ";
  EXPECT_EQ(all,
            "layer 0, head 0; layer 0, head 1; layer 0, mean; layer 1, head 0; mean of all heads; rollout; ");
  EXPECT_EQ(text_of({.from = From::head, .layer = 2, .head = 5, .shift = true}), "layer 2, head 5, shifted");
}

TEST(WordAttention, WhatIsNotThereIsNamedWithWhatIs) {
  for (const auto& [pick, what] : std::vector<std::pair<AttentionPick, std::string>>{
           {{.from = From::head, .layer = 2, .head = 0},
            "there is no layer 2; try: they are numbered from 0 to 1"},
           {{.from = From::head, .layer = 0, .head = 2},
            "there is no head 2; try: they are numbered from 0 to 1"},
           {{.from = From::layer_mean, .layer = -1}, "there is no layer -1"}}) {
    try {
      small_pair().words(pick);
      ADD_FAILURE() << what;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Error::Kind::usage);
      const std::string message = error.what();
      EXPECT_NE(message.find(what.substr(0, what.find(';'))), std::string::npos) << message;
    }
  }
}

WordWeights weights(std::size_t source, std::size_t target, std::vector<float> values) {
  return {source, target, std::move(values)};
}

std::string links(const WordWeights& given, LinkOptions::Rule rule, float threshold = 0) {
  return text::pharaoh(links_of(given, {.rule = rule, .threshold = threshold}));
}

TEST(WordAttention, RulesMakeLinks) {
  using Rule = LinkOptions::Rule;
  const auto given = weights(3, 3,
                             {.6f, .3f, 0,    // target 0
                              .5f, .2f, .1f,  // target 1
                              .1f, .1f, .7f});
  EXPECT_EQ(links(given, Rule::best), "0-0 0-1 2-2");
  EXPECT_EQ(links(given, Rule::mutual), "0-0 2-2");
  EXPECT_EQ(links(given, Rule::all, .3f), "0-0 0-1 1-0 2-2");
  EXPECT_EQ(links(given, Rule::all), "0-0 0-1 0-2 1-0 1-1 1-2 2-1 2-2");  // a weight of 0 is no link
  EXPECT_EQ(links(given, Rule::best, .55f), "0-0 2-2");
  EXPECT_EQ(links(weights(2, 2, {.5f, .5f, .5f, .5f}), Rule::best), "0-0 0-1");
  EXPECT_EQ(links(weights(2, 2, {.5f, .5f, .5f, .5f}), Rule::mutual), "0-0");
  EXPECT_EQ(links(weights(2, 1, {0, 0}), Rule::best), "");
  EXPECT_EQ(links(given, Rule::joined), "0-0 0-1 1-0 2-2");  // 1-0 is source word 1's best, beside 0-0
  for (const Rule rule : {Rule::best, Rule::mutual, Rule::joined, Rule::all}) {
    EXPECT_EQ(links(weights(0, 2, {}), rule), "");
    EXPECT_EQ(links(weights(2, 0, {}), rule), "");
  }
}

TEST(WordAttention, BalancingTakesAwayFromWhatEverythingLooksAt) {
  const auto given = weights(3, 3,
                             {.5f, .1f, .4f,  // all look at source word 2, the full stop
                              .1f, .4f, .5f, 0, .1f, .9f});
  EXPECT_EQ(text::pharaoh(links_of(given, {})), "0-0 2-1 2-2");
  EXPECT_EQ(text::pharaoh(links_of(given, {.balance = true})), "0-0 1-1 2-2");
  // The threshold is on the weights as they are.
  EXPECT_EQ(text::pharaoh(links_of(given, {.balance = true, .threshold = .45f})), "0-0 2-2");
  EXPECT_EQ(text::pharaoh(links_of(weights(2, 2, {0, 1, 0, 1}), {.balance = true})), "1-0 1-1");
}

class ReadPair : public testing::Test, protected WithThreads {
 protected:
  std::optional<PairAttention> read(const std::string& source, const std::string& target) {
    return read_pair(context(), *model_, test::small_tokenizer(), text::split_words(source),
                     text::split_words(target));
  }

  std::unique_ptr<Transformer> model_ = test::small_model();
};

TEST_F(ReadPair, WordsOfAModelsAttentionSumToAtMostOne) {
  const auto pair = read("eba schl the . ing", "ren zw , the");
  ASSERT_TRUE(pair.has_value());
  EXPECT_EQ(pair->picks().size(), 2u * 5 + 2);
  for (const auto& pick : pair->picks()) {
    const auto found = pair->words(pick);
    for (std::size_t j = 0; j < 4; ++j) {
      float sum = 0;
      for (std::size_t i = 0; i < 5; ++i) sum += found.at(j, i);
      EXPECT_GT(sum, 0.0f);
      EXPECT_LT(sum, 1.0f);  // the rest went to the end of sentence
    }
  }
}

TEST_F(ReadPair, NoWordsOrTooManyTokensCannotBeRead) {
  EXPECT_FALSE(read("", "a").has_value());
  EXPECT_FALSE(read("a", "  ").has_value());
  std::string line = "a";
  for (int i = 0; i < 80; ++i) line += " a";
  EXPECT_FALSE(read(line, "a").has_value());
  EXPECT_FALSE(read("a", line).has_value());
  EXPECT_TRUE(read("a", "a").has_value());
}

class Blind : public Transformer {
 public:
  using Transformer::Transformer;
  void read(const ops::Context&, std::span<const std::int32_t>,
            std::span<const std::int32_t>) const override {}
};

TEST_F(ReadPair, AModelWithoutAttentionOverTheSourceIsRefused) {
  const Blind blind(test::small_config());
  try {
    read_pair(context(), blind, test::small_tokenizer(), text::split_words("a"), text::split_words("a"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::model);
    EXPECT_NE(std::string(error.what()).find("no attention over the source"), std::string::npos);
  }
}

}  // namespace
}  // namespace fovea::models
