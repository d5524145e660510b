#include "fovea/text/given_words.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "fovea/base/file.h"
#include "fovea/text/tokenizer_json.h"

namespace fovea::text {
namespace {

using Texts = std::vector<std::string>;

Texts words_of(const GivenWords& given) {
  Texts words;
  for (std::size_t i = 0; i < given.ranges.size(); ++i) words.push_back(given.word(i));
  return words;
}

TEST(GivenWords, AreWhatStandsBetweenSpaces) {
  const Texts words{"U.S.", "naïve", "New York", "汉字"};
  EXPECT_EQ(words_of(GivenWords::joined(words)), words);
  EXPECT_EQ(words_of(GivenWords::spaced("  U.S.\tnaïve  汉字 ")), (Texts{"U.S.", "naïve", "汉字"}));
  EXPECT_TRUE(GivenWords::spaced(" ").ranges.empty());
}

// Whatever the tokenizer cuts, each word has a token that begins in it, and the next word another.
TEST(GivenWords, EachHasAFirstTokenOfItsOwn) {
  const Texts words{"U.S.", "isn't", "naïve", "汉字", "😀!", "antidisestablishmentarianism", "end"};
  const auto given = GivenWords::joined(words);
  for (const std::string kind : {"bert", "gpt2", "llama3", "t5", "xlm-roberta"}) {
    const auto path = std::filesystem::path(FOVEA_SOURCE_DIR) / "tests/text/tokenizers" / (kind + ".json");
    const auto tokenizer = TokenizerJson::parse(read_file(path, 1 << 20, Error::Kind::model), path.string());
    const auto encoding = tokenizer->encode(given.text);
    const auto first = given.first_tokens(encoding);
    ASSERT_EQ(first.size(), words.size());
    for (std::size_t word = 0; word < words.size(); ++word) {
      ASSERT_GE(first[word], 0) << kind << " " << words[word];
      EXPECT_GT(first[word], word > 0 ? first[word - 1] : -1) << kind << " " << words[word];
      const auto range = encoding.ranges[static_cast<std::size_t>(first[word])];
      EXPECT_LE(range.begin, given.ranges[word].begin) << kind << " " << words[word];
      EXPECT_GT(range.end, given.ranges[word].begin) << kind << " " << words[word];
    }
  }
}

TEST(GivenWords, OneWithoutATokenHasNone) {
  const auto given = GivenWords::spaced("a b");
  Encoding encoding;
  encoding.append(2, {0, 0}, -1, 0, -1, true);
  encoding.append(9, {0, 1}, 0, 0, 0, false);
  EXPECT_EQ(given.first_tokens(encoding), (std::vector<std::int32_t>{1, -1}));
  encoding.append(9, {0, 3}, 1, 0, 0, false);  // of both: the first has one already
  EXPECT_EQ(given.first_tokens(encoding), (std::vector<std::int32_t>{1, -1}));
}

}  // namespace
}  // namespace fovea::text
