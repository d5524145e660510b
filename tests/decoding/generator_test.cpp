// Prompts in, texts out: streams, stop strings, prompts beyond the context.
#include "fovea/decoding/generator.h"

#include <gtest/gtest.h>

#include <map>

#include "fovea/decoding/continued_text.h"
#include "fovea/text/tokenizer_json.h"
#include "fovea/text/utf8.h"
#include "tests/decoding/small_language_model.h"

namespace fovea::decoding {
namespace {

using Ids = std::vector<std::int32_t>;
using test::message_of;

std::shared_ptr<text::TokenizerJson> tokenizer_named(const std::string& name) {
  const std::string path = FOVEA_SOURCE_DIR "/tests/text/tokenizers/" + name + ".json";
  return text::TokenizerJson::parse(read_file(path, 1 << 20, Error::Kind::data), name);
}

const std::string awkward =
    "Caf\u00e9 \u65e5\u672c\u8a9e \U0001F642\U0001F469\u200D\U0001F469 e\u0301  two  spaces\n\ntabs\t.";

TEST(ContinuedText, IsTheTextOfItsTokensInWholeCharacters) {
  for (const std::string name : {"gpt2", "llama2", "llama3", "mistral", "qwen2"}) {
    const auto tokenizer = tokenizer_named(name);
    for (const std::string beginning : {"", "Once", "word "}) {
      const Ids prompt = tokenizer->encode(beginning, {.add_special = true, .ranges = false}).ids;
      Ids all = tokenizer->encode(beginning + awkward, {.add_special = true, .ranges = false}).ids;
      if (!std::equal(prompt.begin(), prompt.end(), all.begin())) continue;  // other tokens where they meet
      ContinuedText text(*tokenizer, prompt);
      std::string joined;
      for (std::size_t i = prompt.size(); i < all.size(); ++i) {
        const std::string added = text.add(all[i]);
        EXPECT_TRUE(text::is_valid_utf8(added)) << name;
        EXPECT_EQ(added.find("\uFFFD"), std::string::npos) << name;
        joined += added;
      }
      joined += text.finish();
      EXPECT_EQ(tokenizer->decode(prompt) + joined, tokenizer->decode(all)) << name;
    }
  }
}

TEST(ContinuedText, WhatIsNoCharacterIsGivenAtLast) {
  const auto tokenizer = tokenizer_named("llama2");
  const Ids half = {tokenizer->find("<0xE6>"), tokenizer->find("<0x97>")};
  ASSERT_GT(half.front(), 0);
  ContinuedText text(*tokenizer, half);
  EXPECT_EQ(text.add(half[0]), "");
  EXPECT_EQ(text.add(half[1]), "");
  EXPECT_TRUE(text.finish().ends_with("\uFFFD"));
  EXPECT_EQ(text.finish(), "");
  ContinuedText endless(*tokenizer, {});
  std::string said;
  for (int i = 0; i < 40; ++i) said += endless.add(half[0]);
  EXPECT_FALSE(said.empty()) << "waits for ever";
}

TEST(StopStrings, TheFirstToBeWholeStops) {
  const StopStrings stops({"abcd", "bc", "xyz", "yz"});
  EXPECT_FALSE(stops.find("ab c"));
  EXPECT_EQ(stops.find("..abcd")->begin, 3u);
  EXPECT_EQ(stops.find("..abcd")->which, 1u);
  EXPECT_EQ(stops.find("xyz")->which, 2u) << "of two that are whole at once the longer";
  EXPECT_EQ(stops.open_end("..ab"), 2u);
  EXPECT_EQ(stops.open_end("..xy"), 2u);
  EXPECT_EQ(stops.open_end("abd"), 0u);
  EXPECT_EQ(StopStrings().open_end("abc"), 0u);
  EXPECT_THROW(StopStrings({"a", ""}), Error);
  EXPECT_THROW(StopStrings({"\xC3"}), Error);
}

class Generators : public testing::Test {
 protected:
  Generated generate(const std::string& prompt, const GenerateOptions& options = {}) const {
    return generator_.generate(std::vector<std::string>{prompt}, options).front();
  }
  static GenerateOptions of_length(std::int64_t tokens) {
    GenerateOptions options;
    options.max_new_tokens = tokens;
    options.ends = Ids{};
    return options;
  }

  std::unique_ptr<models::LanguageModel> model_ = test::small_language_model();
  std::shared_ptr<text::TokenizerJson> tokenizer_ = tokenizer_named("llama3");
  Crew crew_{2, 1};
  Generator generator_{*model_, *tokenizer_, crew_};
};

TEST_F(Generators, ATextIsThatOfItsTokens) {
  const auto found = generate("Once upon", of_length(30));
  EXPECT_EQ(found.continuations.front().tokens.size(), 30u);
  EXPECT_EQ(found.continuations.front().why, WhyEnded::max_new_tokens);
  Ids all = tokenizer_->encode("Once upon", {.add_special = true, .ranges = false}).ids;
  EXPECT_EQ(found.prompt_tokens, all.size());
  EXPECT_EQ(all.front(), 500);
  const std::string before = tokenizer_->decode(all);
  const auto& tokens = found.continuations.front().tokens;
  all.insert(all.end(), tokens.begin(), tokens.end());
  EXPECT_EQ(before + found.continuations.front().text, tokenizer_->decode(all));
}

TEST_F(Generators, AnEmptyPromptBeginsWithTheBosToken) {
  const auto plain = tokenizer_named("gpt2");  // puts nothing around texts
  const Generator generator(*model_, *plain, crew_);
  EXPECT_EQ(generator.generate(std::vector<std::string>{""}, of_length(3)).front().prompt_tokens, 1u);
}

// The n-th text of prompts, streamed and returned, for each way to search.
TEST_F(Generators, WhatIsStreamedIsWhatIsReturned) {
  std::vector<GenerateOptions> ways(4, of_length(24));
  ways[1].beam.beam = 3;
  ways[2].beam.sampling = Sampling{.temperature = 1.2};
  ways[2].beam.nbest = 3;
  ways[3].beam.contrastive = Contrastive{};
  const std::vector<std::string> prompts{"Once", "The second one", ""};
  const std::string some = generate("Once", ways[0]).continuations.front().text;
  for (auto& options : ways)
    for (const bool stops : {false, true}) {
      if (stops)
        options.stop = {some.substr(some.find_last_of("abcdefghijklmnopqrstuvwxyz"), 1), "e", "\uFFFDn"};
      const auto plain = generator_.generate(prompts, options);
      std::map<std::pair<std::size_t, std::int64_t>, std::string> streamed;
      options.on_text = [&](std::size_t prompt, std::int64_t hypothesis, std::string_view text) {
        EXPECT_TRUE(text::is_valid_utf8(text));
        EXPECT_FALSE(text.empty());
        streamed[{prompt, hypothesis}] += text;
        return true;
      };
      const auto found = generator_.generate(prompts, options);
      for (std::size_t p = 0; p < prompts.size(); ++p)
        for (std::size_t i = 0; i < found[p].continuations.size(); ++i) {
          const auto& text = found[p].continuations[i].text;
          EXPECT_EQ(text, plain[p].continuations[i].text);
          EXPECT_EQ(text, (streamed[{p, static_cast<std::int64_t>(i)}]));
          for (const auto& stop : options.stop) EXPECT_EQ(text.find(stop), std::string::npos);
        }
      options.on_text = {};
    }
}

// Every part of a text, wherever tokens are cut: it ends before it, and no part of it is shown.
TEST_F(Generators, AnyStringStopsWhereItFirstStands) {
  const auto whole = generate("Once", of_length(24)).continuations.front();
  int straddling = 0;
  for (std::size_t begin = 0; begin + 5 < whole.text.size(); ++begin)
    for (const std::size_t length : {1, 3, 5}) {
      const std::string stop = whole.text.substr(begin, length);
      if (!text::is_valid_utf8(stop)) continue;
      auto options = of_length(24);
      options.stop = {"never said", stop};
      std::string streamed;
      options.on_text = [&](std::size_t, std::int64_t, std::string_view text) {
        streamed += text;
        return true;
      };
      const auto found = generate("Once", options).continuations.front();
      EXPECT_EQ(found.text, whole.text.substr(0, whole.text.find(stop))) << stop;
      EXPECT_EQ(streamed, found.text);
      EXPECT_EQ(found.why, WhyEnded::stop_string);
      EXPECT_EQ(found.stop, stop);
      straddling += length > 1;
    }
  EXPECT_GT(straddling, 10);
}

TEST_F(Generators, AListenerMayHaveEnough) {
  auto options = of_length(24);
  int pieces = 0;
  options.on_text = [&](std::size_t, std::int64_t, std::string_view) { return ++pieces < 4; };
  const auto found = generate("Once", options).continuations.front();
  EXPECT_EQ(found.why, WhyEnded::stopped);
  EXPECT_LT(found.tokens.size(), 24u);
}

TEST_F(Generators, WhatFollowsDoesNotDependOnTheOthers) {
  const std::vector<std::string> prompts{"a", "Some words that go on", "", "x y z", "Once", "b", "c"};
  auto options = of_length(10);
  options.batches.max_rows = 2;
  options.beam.sampling = Sampling{};
  const auto together = generator_.generate(prompts, options);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    options.first_prompt = i;
    const auto alone = generate(prompts[i], options);
    EXPECT_EQ(together[i].continuations.front().tokens, alone.continuations.front().tokens);
    EXPECT_EQ(together[i].continuations.front().token_log_probabilities,
              alone.continuations.front().token_log_probabilities);
  }
}

TEST_F(Generators, APromptBeyondTheContextIsRefusedCutOrSlidAlong) {
  std::string prompt;
  for (int i = 0; i < 100; ++i) prompt += "abcdefghij"[i % 10], prompt += ' ';
  auto options = of_length(20);
  const auto message = message_of(Error::Kind::data, [&] { generate(prompt, options); });
  EXPECT_NE(message.find("prompt 1: has"), std::string::npos) << message;
  EXPECT_NE(message.find("the model reads 64"), std::string::npos) << message;

  options.overflow = Overflow::left;
  const auto left = generate(prompt, options);
  EXPECT_EQ(left.prompt_tokens, 45u);  // and 19 more are read
  EXPECT_EQ(left.continuations.front().tokens.size(), 20u);
  EXPECT_EQ(left.continuations.front().why, WhyEnded::max_new_tokens);
  options.max_new_tokens = 60;
  EXPECT_EQ(generate(prompt, options).prompt_tokens, 32u);
  EXPECT_EQ(generate(prompt, options).continuations.front().why, WhyEnded::context);

  options.overflow = Overflow::slide;
  const auto slid = generate(prompt, options);
  EXPECT_EQ(slid.prompt_tokens, 64u);
  EXPECT_EQ(slid.prompt_tokens + slid.left_out,
            tokenizer_->encode(prompt, {.add_special = true, .ranges = false}).ids.size());
  EXPECT_EQ(slid.continuations.front().tokens.size(), 60u);

  options.overflow = Overflow::error;
  const auto full = generate("Once", options).continuations.front();
  EXPECT_EQ(full.tokens.size(), 60u);
  options.max_new_tokens = 1000;
  EXPECT_EQ(generate("Once", options).continuations.front().why, WhyEnded::context);
}

TEST_F(Generators, ATokenizerOfAnotherModelIsRefused) {
  auto config = test::small_language_config();
  config.vocabulary = 503;
  const auto small = test::small_language_model(config);
  EXPECT_NO_THROW(Generator(*small, *tokenizer_, crew_));
  config.vocabulary = 502;
  config.eos = {501};
  const auto smaller = test::small_language_model(config);
  const auto message = message_of(Error::Kind::model, [&] { Generator(*smaller, *tokenizer_, crew_); });
  EXPECT_NE(message.find("503 tokens, the model 502"), std::string::npos) << message;
}

}  // namespace
}  // namespace fovea::decoding
