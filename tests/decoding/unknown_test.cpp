// An unknown word becomes the word of the source that was looked at.
#include "fovea/decoding/unknown.h"

#include <gtest/gtest.h>

#include <sstream>

#include "fovea/decoding/translator.h"
#include "tests/decoding/small_model.h"

namespace fovea::decoding {
namespace {

using test::message_of;
using Words = std::vector<std::string>;

TEST(WordsForUnknown, AreThoseLookedAtMost) {
  const Words source{"", "a", "b", "c", ""};  // a language in front, the end behind
  Hypothesis one{.tokens = {1, 7, 1, 1, 1}, .token_log_probabilities = std::vector<float>(6)};
  one.attention = {0.9f, 0.0f, 0.1f, 0.0f, 0.0f,   // b: the language is no word
                   0.0f, 1.0f, 0.0f, 0.0f, 0.0f,   // no <unk>
                   0.0f, 0.0f, 0.4f, 0.0f, 0.6f,   // b: the end is no word
                   0.0f, 0.2f, 0.5f, 0.3f, 0.0f,   // b again at once: said already
                   0.0f, 0.3f, 0.1f, 0.6f, 0.0f,   // c
                   0.0f, 0.0f, 0.0f, 0.0f, 1.0f};  // end of sentence
  EXPECT_EQ(words_for_unknown(one, 1, source), (Words{"b", "b", "", "c"}));
  EXPECT_EQ(words_for_unknown(one, 7, source), Words{"a"});
  EXPECT_EQ(words_for_unknown(one, 1, Words(5)), Words(4));
  EXPECT_NE(
      message_of(Error::Kind::bug, [&] { words_for_unknown(one, 1, Words(4)); }).find("30 weights for 6"),
      std::string::npos);
}

/// A Transformer that lets nobody watch.
class Blind : public models::Transformer {
 public:
  using Transformer::Transformer;
  Tensor step(const ops::Context& ctx, models::TranslationState& state,
              std::span<const std::int32_t> tokens) const override {
    ops::Context unwatched = ctx;
    unwatched.recorder = nullptr;
    return Transformer::step(unwatched, state, tokens);
  }
};

/// Pieces without bytes, and a model that says <unk> again and again.
class ReplaceUnknown : public testing::Test {
 protected:
  ReplaceUnknown() {
    Tensor bias = Tensor::zeros({model_.config().target_vocabulary});
    bias.f32()[model_.config().unk] = 50.0f;
    bias.f32()[model_.config().eos] = 49.5f;
    model_.set_output_bias(bias);
    options_.beam.beam = 2;
    options_.beam.max_length_extra = 0;
    options_.beam.min_length = 2;
    options_.max_tokens = 20;
    options_.replace_unknown = true;
  }

  std::vector<Translation> translate(const models::TranslationModel& model, const Words& lines) const {
    const kernels::ExecutionOwner exec(1);
    return Translator(model, tokenizer_, exec.get()).translate(lines, options_);
  }

  text::TranslationTokenizer tokenizer_{
      text::SentencePieceModel::parse(
          text::train_sentencepiece({.vocabulary_size = 300, .byte_fallback = false, .threads = 1},
                                    text::sample::sentences(400, 1)),
          "no_bytes.spm"),
      {}};
  models::Transformer model_{test::small_config(tokenizer_), 7};
  TranslateOptions options_;
};

TEST_F(ReplaceUnknown, PutsWordsOfTheSource) {
  const Words lines{"baren \u6771\u4EAC schlei.", "the der moli", ""};
  const auto found = translate(model_, lines);
  options_.replace_unknown = false;
  const auto without = translate(model_, lines);
  int replaced = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(found[i].candidates[0].tokens, without[i].candidates[0].tokens);
    EXPECT_EQ(found[i].candidates[0].score, without[i].candidates[0].score);
    std::istringstream words(found[i].text());
    for (std::string word; words >> word; ++replaced)
      EXPECT_NE(lines[i].find(word), std::string::npos) << word << " in " << lines[i];
  }
  EXPECT_GE(replaced, 2);
}

TEST_F(ReplaceUnknown, InEachPartOfALongLine) {
  std::string line;
  for (const auto& sentence : text::sample::sentences(12, 10)) line += sentence + " ";
  const auto found = translate(model_, {line}).front();
  EXPECT_GT(found.parts, 3u);
  std::istringstream words(found.text());
  int replaced = 0;
  for (std::string word; words >> word; ++replaced) {
    std::erase(word, '.');  // what looked at a full stop says it, after any word
    EXPECT_NE(line.find(word), std::string::npos) << word;
  }
  EXPECT_GT(replaced, 3);
}

TEST_F(ReplaceUnknown, TranslationsSayWhereTheyLookedIfAsked) {
  options_.replace_unknown = false;
  EXPECT_TRUE(translate(model_, {"the der"}).front().candidates[0].attention.empty());
  options_.beam.attention = true;
  const Translation found = translate(model_, {"the der"}).front();
  const Candidate& best = found.candidates[0];
  EXPECT_EQ(best.token_log_probabilities.size(), best.tokens.size() + (found.complete ? 1 : 0));
  EXPECT_EQ(best.attention.size(), best.token_log_probabilities.size() * found.source.size());
}

TEST_F(ReplaceUnknown, AModelThatDoesNotLookSaysSo) {
  const Blind blind(model_.config(), 7);
  const auto message = message_of(Error::Kind::usage, [&] { translate(blind, {"the der"}); });
  EXPECT_NE(message.find("the model has no attention to its source"), std::string::npos) << message;
}

}  // namespace
}  // namespace fovea::decoding
