#include "fovea/text/words.h"

#include <gtest/gtest.h>

#include "fovea/text/sentencepiece_trainer.h"
#include "fovea/text/translation_tokenizer.h"
#include "fovea/text/utf8.h"
#include "tests/text/sample_text.h"

namespace fovea::text {
namespace {

std::vector<std::string> list(const Words& words) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < words.size(); ++i) out.emplace_back(words[i]);
  return out;
}

TEST(Words, AreWhatBlanksStandBetween) {
  const Words words = split_words("  a bc\t. \r");
  EXPECT_EQ(words.text, "  a bc\t. \r");
  EXPECT_EQ(list(words), (std::vector<std::string>{"a", "bc", "."}));
  EXPECT_EQ(split_words(" \t ").size(), 0u);
  EXPECT_EQ(split_words("").size(), 0u);
  EXPECT_EQ(split_words("Größe 我").size(), 2u);
}

TEST(Words, DetokenisedTextIsWhatPeopleWrite) {
  for (const auto& [tokenised, written] : std::vector<std::pair<std::string, std::string>>{
           {"", ""},
           {"the second issue .", "the second issue."},
           {"He said : \" Yes , ( of course ) ! \" and left .", "He said: \"Yes, (of course)!\" and left."},
           {"I do n't know what it 's for .", "I don't know what it's for."},
           {"dogs ' n' cats", "dogs 'n' cats"},
           {"我 是 学生 。", "我是学生。"},
           {"印 尼 《 今日 美国 报 》 3月 20日", "印尼《今日美国报》3月20日"},
           {"他 用 GPT 3 和 Python 写", "他用GPT 3和Python写"},
           {"¿ Qué ?", "¿Qué?"},
           {"« oui » .", "«oui»."},
           {"50 % !", "50%!"}}) {
    const Words words = detokenised_words(tokenised);
    EXPECT_EQ(words.text, written);
    EXPECT_EQ(list(words), list(split_words(tokenised)));  // every word keeps its bytes
  }
}

TEST(Words, SharesOfPiecesAddUpToOne) {
  const Words words = split_words("ab c  def");
  const std::vector<TextRange> pieces{{0, 2}, {1, 4}, {4, 6}, {5, 9}, {}, {8, 9}};
  const auto shares = word_shares(pieces, words);
  ASSERT_EQ(shares.size(), 6u);
  ASSERT_EQ(shares[0].size(), 1u);
  EXPECT_EQ(shares[0][0].word, 0u);
  EXPECT_EQ(shares[0][0].share, 1.0f);
  ASSERT_EQ(shares[1].size(), 2u);  // "b c": half of it in either word, the space aside
  EXPECT_EQ(shares[1][1].word, 1u);
  EXPECT_EQ(shares[1][1].share, 0.5f);
  EXPECT_TRUE(shares[2].empty());  // spaces
  EXPECT_EQ(shares[3][0].word, 2u);
  EXPECT_TRUE(shares[4].empty());  // the end of sentence
  EXPECT_EQ(shares[5][0].word, 2u);
}

SentencePieceModel trained(const std::vector<std::string>& lines, std::int32_t size, bool bpe, bool bytes) {
  const auto kind = bpe ? SentencePieceTraining::Kind::bpe : SentencePieceTraining::Kind::unigram;
  return SentencePieceModel::parse(
      train_sentencepiece(
          {.kind = kind, .vocabulary_size = size, .exact_size = false, .byte_fallback = bytes, .threads = 1},
          lines),
      "test.spm");
}

/// Every byte of `text` that is not a blank must belong to a piece, and each piece must stand for the text
/// whose normal form it is.
void expect_ranges_cover(const SentencePieceModel& model, const std::string& text) {
  std::vector<TextRange> ranges;
  const auto encoding = model.encode_with_places(text, ranges);
  EXPECT_EQ(encoding.normalised, model.encode_with_places(text).normalised);
  ASSERT_EQ(ranges.size(), encoding.tokens.size());
  std::vector<bool> covered(text.size());
  for (const TextRange range : ranges) {
    ASSERT_LE(range.end, text.size());
    for (auto i = range.begin; i < range.end; ++i) covered[i] = true;
  }
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = decode_utf8(std::string_view(text).substr(i)).length;
    const std::string character = text.substr(i, length);
    for (std::size_t byte = i; byte < i + length; ++byte) {
      EXPECT_EQ(covered[byte], character != " " && character != "\u3000")
          << "byte " << byte << " of " << text;
    }
    i += length;
  }
  for (std::size_t t = 0; t < ranges.size(); ++t) {
    if (ranges[t].empty()) continue;
    const auto& token = encoding.tokens[t];
    std::string surface(encoding.surface(token));
    const std::string own = text.substr(ranges[t].begin, ranges[t].end - ranges[t].begin);
    const std::string normal = model.encode_with_places(own).normalised;
    if (!surface.starts_with(space_symbol)) surface.insert(0, space_symbol);
    EXPECT_NE(normal.find(surface.substr(space_symbol.size())), std::string::npos)
        << surface << " of " << normal << " in " << text;
  }
}

TEST(Words, PiecesKnowTheBytesTheyComeFrom) {
  const auto lines = sample::sentences(300, 3);
  const std::vector<std::string> texts{
      lines[0],
      lines[1],
      "  two  spaces ,  and a full stop . ",
      "ｆｕｌｌ　ｗｉｄｔｈ … ½ ﬁne",  // characters that become several, spaces too
      "e\u0301te\u0301 A\u030A",       // several that become one
      "我 是 学生 。 unknown \U0001F600 x",
      "",
      "   ",
      "a"};
  for (const bool bpe : {false, true})
    for (const bool bytes : {false, true}) {
      const auto model = trained(lines, bytes ? 500 : 240, bpe, bytes);
      for (const std::string& text : texts) expect_ranges_cover(model, text);
    }
}

TEST(Words, APieceOfSpacesStandsForNothing) {
  const auto model = trained({"a b", "b a", "ab ba"}, 40, true, false);
  std::vector<TextRange> ranges;
  const auto encoding = model.encode_with_places("我 b", ranges);
  ASSERT_EQ(encoding.surface(encoding.tokens[0]), space_symbol);
  EXPECT_TRUE(ranges[0].empty());
  EXPECT_EQ(ranges[1], (TextRange{0, 3}));
  EXPECT_EQ(ranges.back(), (TextRange{4, 5}));
}

TEST(Words, ExpandedCharactersGiveEachPieceTheWholeCharacter) {
  const auto model = trained({"a . b", "b . . a", "... a b"}, 40, true, false);
  std::vector<TextRange> ranges;
  const auto encoding = model.encode_with_places("a\u2026 b", ranges);  // becomes "a... b"
  EXPECT_EQ(encoding.normalised, "▁a...▁b");
  for (std::size_t t = 0; t < ranges.size(); ++t) {
    const auto surface = encoding.surface(encoding.tokens[t]);
    if (surface.starts_with(".")) {
      EXPECT_EQ(ranges[t], (TextRange{1, 4}));
    }
  }
}

TEST(Words, TheTokenizerReadsTheSameIdsWithRanges) {
  const auto lines = sample::sentences(300, 3);
  const TranslationTokenizer tokenizer(trained(lines, 400, false, true), {});
  for (const std::string& text : {lines[5], std::string("Größe 我 ."), std::string()}) {
    const auto source = tokenizer.read_source(text), target = tokenizer.read_target(text);
    EXPECT_EQ(source.ids, tokenizer.encode_source(text));
    EXPECT_EQ(target.ids, tokenizer.encode_target(text));
    ASSERT_EQ(source.ranges.size(), source.ids.size());
    EXPECT_TRUE(source.ranges.back().empty());  // </s>
    EXPECT_EQ(source.ranges, target.ranges);
  }
}

}  // namespace
}  // namespace fovea::text
