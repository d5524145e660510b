#include "fovea/text/tokenizer_json.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/formats/json.h"
#include "tests/text/sample_text.h"

namespace fovea::text {
namespace {

using formats::Json;
using Ids = std::vector<std::int32_t>;

const std::filesystem::path folder = std::filesystem::path(FOVEA_SOURCE_DIR) / "tests/text/tokenizers";

/// The kinds that benchmarks/peers/tokenizers_fixture.py made, each with what Hugging Face's library says.
constexpr const char* kinds[] = {"added-tokens",   "bert",          "clip",       "continuing",
                                 "gpt2",           "llama2",        "llama3",     "mistral",
                                 "qwen2",          "roberta",       "t5",         "truncated",
                                 "truncated-left", "unigram-bytes", "word-level", "xlm-roberta"};

std::shared_ptr<TokenizerJson> load(const std::string& kind) {
  const auto path = folder / (kind + ".json");
  return TokenizerJson::parse(read_file(path, 1 << 20, Error::Kind::model), path.string());
}

template <class List>
std::vector<std::int64_t> numbers(const List& list) {
  return {list.begin(), list.end()};
}

std::vector<std::int64_t> numbers(const Json& list) {
  std::vector<std::int64_t> out;
  for (const Json& number : list.elements()) out.push_back(number.integer());
  return out;
}

std::vector<std::int64_t> ends(const std::vector<TextRange>& ranges) {
  std::vector<std::int64_t> out;
  for (const TextRange range : ranges)
    for (const std::uint32_t end : {range.begin, range.end}) out.push_back(range.empty() ? 0 : end);
  return out;
}

class TokenizerKinds : public testing::TestWithParam<const char*> {};

TEST_P(TokenizerKinds, GiveWhatTheLibraryGives) {
  const auto tokenizer = load(GetParam());
  const Json cases =
      formats::read_json(folder / (std::string(GetParam()) + ".expected.json"), Error::Kind::data);
  ASSERT_GT(cases.size(), 60u);
  for (const Json& expected : cases.elements()) {
    std::vector<std::string> texts;
    for (const Json& text : expected.at("texts").elements()) texts.emplace_back(text.text());
    SCOPED_TRACE(printable(texts[0], 300));
    const Encoding found =
        texts.size() == 2 ? tokenizer->encode_pair(texts[0], texts[1], {}) : tokenizer->encode(texts[0]);
    EXPECT_EQ(numbers(found.ids), numbers(expected.at("ids")));
    EXPECT_EQ(ends(found.ranges), numbers(expected.at("ranges")));
    EXPECT_EQ(numbers(found.types), numbers(expected.at("types")));
    EXPECT_EQ(numbers(found.words), numbers(expected.at("words")));
    EXPECT_EQ(numbers(found.special), numbers(expected.at("special")));
    EXPECT_EQ(numbers(found.attention), numbers(expected.at("attention")));
    EXPECT_EQ(tokenizer->decode(found.ids, false), expected.at("text").text());
    EXPECT_EQ(tokenizer->decode(found.ids, true), expected.at("visible").text());
  }
}

TEST_P(TokenizerKinds, GiveTheSameIdsWithoutRangesAndASecondTime) {
  const auto tokenizer = load(GetParam());
  sample::Dice dice(3);
  for (int i = 0; i < 150; ++i) {
    const std::string text = sample::awkward(dice, 60);
    const Ids ids = tokenizer->encode(text).ids;
    EXPECT_EQ(tokenizer->encode(text, {.ranges = false}).ids, ids) << printable(text);
    EXPECT_EQ(tokenizer->encode(text).ids, ids);
  }
}

TEST_P(TokenizerKinds, B20_TakeAnyBytes) {
  const auto tokenizer = load(GetParam());
  sample::Dice dice(4);
  for (int i = 0; i < 300; ++i) {
    const std::string text = sample::bytes(dice, 60);
    const Encoding encoding = tokenizer->encode(text);
    for (const TextRange range : encoding.ranges) {
      EXPECT_LE(range.begin, range.end);
      EXPECT_LE(range.end, text.size());
    }
    EXPECT_EQ(encoding.ids, tokenizer->encode(repair_utf8(text).text).ids) << printable(text);
    tokenizer->decode(encoding.ids, false);
  }
}

INSTANTIATE_TEST_SUITE_P(All, TokenizerKinds, testing::ValuesIn(kinds), [](const auto& info) {
  std::string name(info.param);
  std::erase(name, '-');
  return name;
});

TEST(TokenizerJson, B20_BytePairsGiveAnyTextBack) {
  for (const char* kind : {"gpt2", "llama3"}) {
    const auto tokenizer = load(kind);
    sample::Dice dice(5);
    for (int i = 0; i < 2000; ++i) {
      const std::string text = sample::awkward(dice, 40);
      EXPECT_EQ(tokenizer->decode(tokenizer->encode(text, {.add_special = false}).ids, false), text) << kind;
    }
  }
}

TEST(TokenizerJson, RangesSayWhichBytesATokenStandsFor) {
  const auto tokenizer = load("bert");
  const std::string text = "The \u00e9t\u00e9 \u706f\u5854 ships";
  const Encoding encoding = tokenizer->encode(text);
  std::string all;
  for (const TextRange range : encoding.ranges) all += text.substr(range.begin, range.end - range.begin);
  EXPECT_EQ(all, "The\u00e9t\u00e9\u706f\u5854ships");
  EXPECT_EQ(encoding.ranges.front(), TextRange{});  // [CLS]
}

TEST(TokenizerJson, ManyThreadsShareOne) {
  const auto tokenizer = load("gpt2");
  std::vector<std::string> texts;
  std::vector<Ids> expected;
  sample::Dice dice(6);
  for (int i = 0; i < 200; ++i) texts.push_back(sample::awkward(dice, 80));
  for (const std::string& text : texts) expected.push_back(tokenizer->encode(text).ids);
  std::vector<int> wrong(4);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < wrong.size(); ++t)
    threads.emplace_back([&, t] {
      for (std::size_t i = 0; i < texts.size(); ++i)
        wrong[t] += tokenizer->encode(texts[i]).ids != expected[i];
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4));
}

TEST(TokenizerJson, WindowsOfWhatWasCutOffOverlapByTheStride) {
  const auto tokenizer = load("truncated");  // 12 tokens, stride 3, two of them [CLS] and [SEP]
  std::string text;
  for (int i = 0; i < 30; ++i) text += "ship ";
  const Encoding encoding = tokenizer->encode(text);
  EXPECT_EQ(encoding.size(), 16u);  // padded
  ASSERT_GE(encoding.overflow.size(), 2u);
  const auto whole = load("bert")->encode(text).ranges;
  const auto inner = [](const Encoding& window) {  // ranges of the texts' tokens
    std::vector<TextRange> out;
    for (std::size_t i = 0; i < window.size(); ++i)
      if (!window.special[i]) out.push_back(window.ranges[i]);
    return out;
  };
  const auto first = inner(encoding), second = inner(encoding.overflow[0]);
  ASSERT_EQ(first.size(), 10u);
  ASSERT_EQ(second.size(), 10u);
  EXPECT_TRUE(std::equal(first.end() - 3, first.end(), second.begin()));
  EXPECT_EQ(inner(encoding.overflow.back()).back(), whole[whole.size() - 2]);
}

TEST(TokenizerJson, BatchesAreFilledUpToTheLongest) {
  const auto tokenizer = load("bert");
  tokenizer->set_padding(Padding{.multiple_of = 4, .id = 0});
  const std::string_view texts[] = {"one", "one two three four five six"};
  const auto batch = tokenizer->encode_batch(texts, {});
  ASSERT_EQ(batch.size(), 2u);
  EXPECT_EQ(batch[0].size(), batch[1].size());
  EXPECT_EQ(batch[0].size() % 4, 0u);
  EXPECT_EQ(batch[0].attention.back(), 0);
  EXPECT_EQ(batch[0].ids.back(), 0);
}

TEST(TokenizerJson, TruncationThatCannotBeDoneIsAnError) {
  const auto tokenizer = load("bert");
  const auto message = [&](const Truncation& truncation, std::string_view first, const char* second) {
    tokenizer->set_truncation(truncation);
    try {
      if (second != nullptr)
        tokenizer->encode_pair(first, second, {});
      else
        tokenizer->encode(first);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Error::Kind::data);
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  using enum Truncation::Strategy;
  EXPECT_NE(message({.max_length = 1}, "a b c", nullptr).find("2 tokens are put around"), std::string::npos);
  EXPECT_NE(message({.max_length = 4, .stride = 2}, "a b c d", nullptr).find("stride of 2"),
            std::string::npos);
  EXPECT_NE(message({.max_length = 4, .strategy = only_second}, "a b c d", nullptr).find("there is none"),
            std::string::npos);
  EXPECT_NE(message({.max_length = 5, .strategy = only_first}, "a", "b c d e").find("too short"),
            std::string::npos);
  EXPECT_EQ(message({.max_length = 2}, "a b c", nullptr), "accepted");
}

}  // namespace
}  // namespace fovea::text
