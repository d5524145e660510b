#include "fovea/text/sentences.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "fovea/base/error.h"
#include "tests/text/sample_text.h"

namespace fovea::text {
namespace {

/// Counts words and, within long ones, every four bytes.
std::size_t count_tokens(std::string_view text) {
  std::size_t tokens = 0, run = 0;
  for (const char c : text) {
    run = c == ' ' ? 0 : run + 1;
    tokens += run % 4 == 1;
  }
  return tokens;
}

std::vector<std::string> texts(const std::vector<Chunk>& chunks) {
  std::vector<std::string> out;
  for (const Chunk& chunk : chunks) out.emplace_back(chunk.text);
  return out;
}

using Strings = std::vector<std::string>;

TEST(Sentences, ATextThatFitsStaysWhole) {
  EXPECT_EQ(texts(split_into_chunks("One. Two. Three.", 100, count_tokens)), Strings{"One. Two. Three."});
  EXPECT_TRUE(split_into_chunks("", 5, count_tokens).empty());
  EXPECT_TRUE(split_into_chunks("  \n ", 5, count_tokens).empty());
}

TEST(Sentences, CutsAfterSentences) {
  EXPECT_EQ(texts(split_into_chunks("It rains. \"Does it?\" Yes! Well\xE2\x80\xA6 good.", 4, count_tokens)),
            (Strings{"It rains.", "\"Does it?\"", "Yes!", "Well\xE2\x80\xA6", "good."}));
}

TEST(Sentences, FullWidthMarksNeedNoSpace) {
  const auto chunks = split_into_chunks(
      "\xE4\xBD\xA0\xE5\xA5\xBD\xE3\x80\x82\xE5\x86\x8D\xE8\xA7\x81\xEF\xBC\x81", 4, count_tokens);
  EXPECT_EQ(texts(chunks),
            (Strings{"\xE4\xBD\xA0\xE5\xA5\xBD\xE3\x80\x82", "\xE5\x86\x8D\xE8\xA7\x81\xEF\xBC\x81"}));
  EXPECT_EQ(join_chunks(Strings{"Hello.", "Goodbye!"}, chunks), "Hello. Goodbye!");
}

TEST(Sentences, JoiningIdeographsLeavesSpacesOut) {
  const auto chunks = split_into_chunks("Hello. Goodbye!", 3, count_tokens);
  ASSERT_EQ(chunks.size(), 2u);
  EXPECT_EQ(join_chunks(Strings{"\xE4\xBD\xA0\xE3\x80\x82", "\xE5\x86\x8D\xEF\xBC\x81"}, chunks),
            "\xE4\xBD\xA0\xE3\x80\x82\xE5\x86\x8D\xEF\xBC\x81");
  EXPECT_EQ(join_chunks(Strings{"Hallo.", "Tsch\xC3\xBCss!"}, chunks), "Hallo. Tsch\xC3\xBCss!");
}

TEST(Sentences, AFullStopBeforeASmallLetterOrWithinANumberEndsNothing) {
  EXPECT_EQ(texts(split_into_chunks("See e.g. this at 3.50 today. Then go.", 8, count_tokens)),
            (Strings{"See e.g. this at 3.50 today.", "Then go."}));
}

TEST(Sentences, LongSentencesAreCutAtClausesThenSpacesThenAnywhere) {
  EXPECT_EQ(texts(split_into_chunks("one two, three four; five", 4, count_tokens)),
            (Strings{"one two,", "three four;", "five"}));
  EXPECT_EQ(texts(split_into_chunks("aa bb cc dd ee", 2, count_tokens)), (Strings{"aa bb", "cc dd", "ee"}));
  EXPECT_EQ(texts(split_into_chunks("aaaabbbbccccd", 2, count_tokens)), (Strings{"aaaabbbb", "ccccd"}));
}

TEST(Sentences, NeverCutsACharacter) {
  std::string text;
  for (int i = 0; i < 50; ++i) text += "\xF0\x9F\x98\x80";
  for (const std::size_t limit : {1u, 2u, 3u, 7u})
    for (const Chunk& chunk : split_into_chunks(text, limit, [](std::string_view t) { return t.size(); })) {
      EXPECT_TRUE(is_valid_utf8(chunk.text));
      EXPECT_FALSE(chunk.text.empty());
    }
}

TEST(Sentences, NothingIsLostAndAllFit) {
  sample::Dice dice(9);
  const auto lines = sample::sentences(200, 4);
  for (int round = 0; round < 400; ++round) {
    std::string text = round % 2 == 0 ? sample::awkward(dice, 300) : "";
    if (round % 2 == 1)
      for (std::uint32_t n = 1 + dice(20); n > 0; --n)
        text.append(lines[dice(200)]).append(dice(5) == 0 ? "\n" : " ");
    const std::size_t limit = 4 + dice(30);
    const auto chunks = split_into_chunks(text, limit, count_tokens);
    std::string whole;
    Strings copies;
    for (const Chunk& chunk : chunks) {
      whole.append(chunk.text).append(chunk.separator);
      copies.emplace_back(chunk.text);
      EXPECT_LE(count_tokens(chunk.text), limit) << printable(chunk.text, 300);
    }
    ASSERT_TRUE(std::string_view(text).ends_with(whole)) << printable(text, 400);
    const std::string_view lost = std::string_view(text).substr(0, text.size() - whole.size());
    ASSERT_TRUE(split_into_chunks(lost, limit, count_tokens).empty());
  }
}

TEST(Sentences, LongLinesCostAFewCounts) {
  std::string text;
  for (const auto& line : sample::sentences(20000, 8)) text.append(line).append(" ");
  for (const std::string& line : {text, std::string(1 << 20, 'a'), text.substr(0, 1 << 20)}) {
    std::size_t counted = 0;
    const TokenCounter counter = [&](std::string_view t) {
      counted += t.size();
      return count_tokens(t);
    };
    split_into_chunks(line, 64, counter);
    EXPECT_LT(counted, 20 * line.size());
  }
}

TEST(Sentences, FaultsOfTheCaller) {
  EXPECT_THROW(split_into_chunks("a", 0, count_tokens), Error);
  EXPECT_THROW(join_chunks(Strings{"a"}, {}), Error);
}

}  // namespace
}  // namespace fovea::text
