// fovea::Translator: what the page of its header promises.
#include "fovea/api/translator.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <stdexcept>
#include <thread>

#include "fovea/decoding/translator.h"
#include "tests/decoding/small_shortlist.h"

namespace fovea {
namespace {

using test::message_of;
using test::SmallModel;

const Translator& translator() {
  static const Translator opened(SmallModel::folder().string(), {.threads = 3});
  return opened;
}

std::vector<std::string> some_lines(std::size_t count) {
  auto lines = text::sample::sentences(count, 6);
  if (count > 4) lines[3] = "";
  return lines;
}

std::vector<std::string> texts_of(const std::vector<TranslationResult>& results) {
  std::vector<std::string> texts;
  for (const auto& result : results) texts.push_back(result.text());
  return texts;
}

TEST(Translator, SaysWhatTheFloorsBelowSay) {
  const auto lines = some_lines(40);
  const kernels::ExecutionOwner exec(1);
  const auto model = models::load_for_inference(SmallModel::folder(), exec.get());
  const decoding::Translator below(*model, test::small_tokenizer(), exec.get());
  decoding::TranslateOptions how;
  how.beam.beam = 2;  // the model's own
  const auto expected = below.translate(lines, how);
  const auto found = translator().translate(lines);
  ASSERT_EQ(found.size(), lines.size());
  for (std::size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(found[i].text(), expected[i].text());
    EXPECT_EQ(found[i].hypotheses[0].score, expected[i].candidates[0].score);
    EXPECT_TRUE(found[i].hypotheses[0].tokens.empty());
    EXPECT_EQ(translator().translate(lines[i]).text(), expected[i].text());
  }
  EXPECT_EQ(translator().source_language(), "en");
  EXPECT_EQ(translator().target_language(), "de");
  EXPECT_EQ(translator().threads(), 3);
  EXPECT_EQ(translator().workers(), 3);
}

TEST(Translator, AShortlistSaysWhichWordsThereAre) {
  const test::ScratchFolder folder;
  const auto& tokenizer = test::small_tokenizer();
  const auto shortlist = test::shortlist_of({20, 21, 22});
  shortlist.save(folder / "list");
  const Translator restricted(SmallModel::folder().string(),
                              {.threads = 2, .shortlist = folder.path("list")});
  const auto lines = some_lines(20);
  std::size_t tokens = 0;
  for (const auto& result : restricted.translate(lines, {.min_length = 2, .tokens = true}))
    for (const auto& piece : result.hypotheses[0].tokens) {
      const auto id = tokenizer.target_vocabulary().find(piece);
      EXPECT_TRUE(std::ranges::binary_search(shortlist.anywhere(), id)) << piece;
      ++tokens;
    }
  EXPECT_GT(tokens, lines.size());
  EXPECT_NE(message_of(Error::Kind::model,
                       [&] { Translator(SmallModel::folder().string(), {.shortlist = folder.path("none")}); })
                .find("none"),
            std::string::npos);
}

TEST(Translator, AnyTextIsOneLine) {
  for (const std::string& text : {std::string(), std::string(" "), std::string("a\nb\r\n\0c", 7),
                                  std::string("ba\xff\xfe"), std::string(3000, 'x')})
    EXPECT_EQ(translator().translate(text).text().find_first_of(std::string("\n\r\0", 3)), std::string::npos);
  EXPECT_EQ(translator().translate("baren\nthe").text(), translator().translate("baren the").text());
  EXPECT_TRUE(translator().translate(std::vector<std::string>{}).empty());
}

TEST(Translator, TokensScoresAndAttention) {
  TranslationOptions options{.beam = 4, .nbest = 3, .length_penalty = 0.0};
  options.attention = true;
  for (const auto& result : translator().translate(some_lines(6), options)) {
    if (result.source_tokens.empty()) continue;  // the empty line
    EXPECT_EQ(result.source_tokens.back(), "</s>");
    ASSERT_EQ(result.hypotheses.size(), 3u);
    for (const auto& hypothesis : result.hypotheses) {
      const std::size_t T = hypothesis.tokens.size(), S = result.source_tokens.size();
      ASSERT_EQ(hypothesis.token_scores.size(), T);
      ASSERT_EQ(hypothesis.attention.size(), T * S);
      EXPECT_NEAR(std::accumulate(hypothesis.token_scores.begin(), hypothesis.token_scores.end(), 0.0),
                  hypothesis.score, 1e-4);
      EXPECT_TRUE(!result.complete || hypothesis.tokens.back() == "</s>");
      const auto alignment = hypothesis.alignment();
      ASSERT_EQ(alignment.size(), T);
      for (std::size_t t = 0; t < T; ++t)
        for (std::size_t s = 0; s < S; ++s)
          EXPECT_LE(hypothesis.attention[t * S + s], hypothesis.attention[t * S + alignment[t]]);
    }
  }
}

TEST(Translator, OptionsAreHeeded) {
  const std::string line = "baren schlei the der zwei moli";
  const auto tokens_of = [&](TranslationOptions options) {
    options.tokens = true;
    return translator().translate(line, options).hypotheses[0].tokens;
  };
  EXPECT_GE(tokens_of({.min_length = 9}).size(), 9u);
  EXPECT_LE(tokens_of({.max_length = 2}).size(), 2u);
  const auto plain = tokens_of({.min_length = 5});
  const TranslationOptions without{.min_length = 5, .no_repeat_ngram = 1, .suppressed = {"baren"}};
  const auto other = tokens_of(without);
  EXPECT_EQ(std::set(other.begin(), other.end()).size(), other.size());
  EXPECT_EQ(translator().translate(line, without).text().find("baren"), std::string::npos);
  const TranslationOptions draws{.nbest = 4, .temperature = 2.0, .seed = 3};
  const auto drawn = translator().translate(line, draws);
  EXPECT_EQ(drawn.hypotheses.size(), 4u);
  EXPECT_EQ(translator().translate(line, draws).hypotheses[3].text, drawn.hypotheses[3].text);
  EXPECT_GT(translator().translate(line + " " + line, {.max_tokens = 6}).parts, 1u);
}

TEST(Translator, MistakesAreErrorsThatSayWhat) {
  const auto wrong = [](const TranslationOptions& options) {
    return message_of(Error::Kind::usage, [&] { translator().translate("baren", options); });
  };
  EXPECT_EQ(wrong({.beam = 33}), "beam: is 33; use 1 to 32");
  EXPECT_NE(wrong({.nbest = 0}).find("nbest"), std::string::npos);
  EXPECT_NE(wrong({.temperature = -1.0}).find("temperature"), std::string::npos);
  EXPECT_EQ(wrong({.suppressed = {" "}}), "suppressed: ' ' has no tokens");
  EXPECT_NE(wrong({.batch = 0}).find("sentences of a batch: is 0"), std::string::npos);
  const test::ScratchFolder scratch;
  const auto refused = [](const std::filesystem::path& folder) {
    return message_of(Error::Kind::model, [&] { Translator(folder.string()); });
  };
  EXPECT_NE(refused(scratch / "none").find("none: there is no such folder"), std::string::npos);
  const auto model = SmallModel::copy(scratch);
  std::filesystem::resize_file(model / "model.safetensors", 3000);
  EXPECT_NE(refused(model).find("model.safetensors"), std::string::npos);
  EXPECT_EQ(message_of(Error::Kind::usage,
                       [] { Translator(SmallModel::folder().string(), {.threads = 1, .workers = 2}); }),
            "workers: 2 of 1 thread; use at most as many workers as threads");
}

TEST(Translator, LinesWithoutEnd) {
  const auto lines = some_lines(600);
  const auto expected = texts_of(translator().translate(lines));
  std::size_t given = 0;
  std::vector<std::string> texts;
  translator().translate(
      [&]() -> std::optional<std::string> { return lines[given++ % lines.size()]; },
      [&](const TranslationResult& result) { return texts.push_back(result.text()), texts.size() < 5000; });
  ASSERT_EQ(texts.size(), 5000u);
  for (std::size_t i = 0; i < texts.size(); ++i) ASSERT_EQ(texts[i], expected[i % lines.size()]);
  EXPECT_LT(given, 5000u + 10'000u);
}

TEST(Translator, WhatACallersFunctionThrowsComesBack) {
  const auto lines = some_lines(300);
  const auto work = [&](int asked_at, int delivered_at) {
    std::size_t given = 0;
    int asked = 0, delivered = 0;
    translator().translate(
        [&]() -> std::optional<std::string> {
          if (++asked == asked_at) throw std::out_of_range("next");
          return given < lines.size() ? std::optional(lines[given++]) : std::nullopt;
        },
        [&](const TranslationResult&) {
          if (++delivered == delivered_at) throw std::runtime_error("deliver");
          return true;
        });
  };
  EXPECT_THROW(work(200, 1000), std::out_of_range);
  EXPECT_THROW(work(1000, 100), std::runtime_error);
  EXPECT_NO_THROW(work(1000, 1000));
}

TEST(Translator, TextIsToldAsItComes) {
  for (const TranslationOptions& options : {TranslationOptions{.beam = 1}, TranslationOptions{.beam = 3},
                                            TranslationOptions{.beam = 2, .max_tokens = 8}})
    for (const std::string& line : some_lines(8)) {
      std::string told;
      int pieces = 0;
      const auto result = translator().stream(
          line, [&](std::string_view fresh) { return ++pieces, told += fresh, true; }, options);
      EXPECT_EQ(told, result.text());
      EXPECT_EQ(result.text(), translator().translate(line, options).text());
    }
  std::string told;
  const TranslationOptions endless{.beam = 1, .min_length = 20};
  const auto cut = translator().stream(
      "baren", [&](std::string_view fresh) { return told += fresh, false; }, endless);
  EXPECT_EQ(cut.text(), told);
  EXPECT_LT(told.size(), translator().translate("baren", endless).text().size());
}

TEST(Translator, ScoresOfPairsAreThoseOfTheSearch) {
  const auto lines = some_lines(300);
  TranslationOptions options{.beam = 1, .length_penalty = 0.0};
  options.tokens = true;
  std::vector<Translator::Pair> pairs;
  std::vector<Hypothesis> found;
  for (auto& result : translator().translate(lines, options)) found.push_back(result.hypotheses[0]);
  for (std::size_t i = 0; i < lines.size(); ++i) pairs.push_back({lines[i], found[i].text});
  pairs.push_back({std::string(2000, 'x'), "baren"});
  const auto scores = translator().score(pairs);
  ASSERT_EQ(scores.size(), pairs.size());
  std::size_t same = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    EXPECT_TRUE(std::isfinite(scores[i].log_probability)) << i;
    if (scores[i].token_scores.size() != found[i].token_scores.size()) continue;  // another way to cut it
    same += std::abs(scores[i].log_probability - found[i].score) < 1e-3;
  }
  EXPECT_GT(same, lines.size() / 4);
  EXPECT_EQ(scores.back().log_probability, -std::numeric_limits<double>::infinity());
  EXPECT_TRUE(translator().score({}).empty());
  EXPECT_EQ(translator().score(std::span(pairs).first(1))[0].log_probability, scores[0].log_probability);
}

TEST(Translator, SeveralCallersAtOnce) {
  const auto lines = some_lines(60);
  const auto expected = texts_of(translator().translate(lines));
  std::vector<std::jthread> callers;
  for (std::size_t caller = 0; caller < 5; ++caller)
    callers.emplace_back([&, caller] {
      for (int again = 0; again < 3; ++again) {
        EXPECT_EQ(translator().translate(lines[caller]).text(), expected[caller]);
        EXPECT_EQ(texts_of(translator().translate(lines)), expected);
        EXPECT_EQ(translator().stream(lines[caller], [](std::string_view) { return true; }).text(),
                  expected[caller]);
      }
    });
}

TEST(Translator, WeightsOfEveryType) {
  const auto line = some_lines(1)[0];
  const std::string folder = SmallModel::folder().string();
  EXPECT_EQ(Translator(folder, {.weights = WeightType::f32}).translate(line).text(),
            translator().translate(line).text());
  for (const auto type : {WeightType::bf16, WeightType::int8}) {
    Translator opened(folder, {.weights = type, .threads = 1});
    Translator moved = std::move(opened);
    EXPECT_EQ(moved.translate(std::vector{line, line}).size(), 2u);
  }
}

}  // namespace
}  // namespace fovea
