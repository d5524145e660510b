#include "fovea/text/language_tokenizer.h"

#include <gtest/gtest.h>

#include "fovea/base/error.h"
#include "fovea/text/byte_pair_trainer.h"
#include "fovea/text/tokenizer_json.h"

namespace fovea::text {
namespace {

using Kind = LanguageTokenizerTraining::Kind;
using Ids = std::vector<std::int32_t>;
using Texts = std::vector<std::string>;

std::shared_ptr<TokenizerJson> learn(const LanguageTokenizerTraining& options, const Texts& documents) {
  return TokenizerJson::parse(language_tokenizer_json(options, documents), "tokenizer.json");
}

TEST(CharacterTokenizer, NumbersCharactersInOrderAfterTheSpecialOnes) {
  const auto tokenizer = learn({.begins = false}, {"b\na", "春b"});
  EXPECT_EQ(tokenizer->find(end_of_text), 0);
  EXPECT_EQ(tokenizer->find("<unk>"), 1);
  EXPECT_EQ(tokenizer->size(), 6);
  EXPECT_EQ(tokenizer->encode("\nab春").ids, (Ids{2, 3, 4, 5}));
  EXPECT_EQ(tokenizer->encode("axyb").ids, (Ids{3, 1, 1, 4}));
  EXPECT_EQ(tokenizer->decode(Ids{5, 2, 3, 0, 3}), "春\naa");
}

TEST(CharacterTokenizer, RareCharactersAreUnknown) {
  const auto tokenizer = learn({.least_count = 2, .begins = false}, {"aabbc"});
  EXPECT_EQ(tokenizer->encode("abc").ids, (Ids{2, 3, 1}));
  EXPECT_THROW(learn({.least_count = 4}, {"aabbc"}), Error);
  EXPECT_THROW(learn({}, {""}), Error);
}

TEST(CharacterTokenizer, TextsBeginWithTheEndOfTextIfAskedFor) {
  const auto tokenizer = learn({.begins = true}, {"ab"});
  EXPECT_EQ(tokenizer->encode("ab").ids, (Ids{0, 2, 3}));
  EXPECT_EQ(tokenizer->encode("ab", {.add_special = false}).ids, (Ids{2, 3}));
}

TEST(BytePairTokenizer, LearnsTheMostFrequentPairsAndKnowsEveryByte) {
  const Texts texts{"low low low lower lower newest newest newest newest"};
  const auto tokenizer = learn({.kind = Kind::byte_pairs, .size = 270, .begins = false}, texts);
  EXPECT_LE(tokenizer->size(), 270);
  EXPECT_LT(tokenizer->encode(texts[0]).ids.size(), texts[0].size() / 2);
  for (const std::string text : {"low\r\n\n  newest ", "春 \xf0\x9f\x98\x80", "\x01\x7f"})
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text).ids), text);
  EXPECT_THROW(learn({.kind = Kind::byte_pairs, .size = 256}, texts), Error);
}

TEST(BytePairs, MergesByFrequencyThenByNumber) {
  using Pairs = std::vector<std::pair<std::int32_t, std::int32_t>>;
  // 0 1 five times, 1 2 three times; then what 0 1 became (3) and 2.
  EXPECT_EQ(learn_byte_pairs({{{0, 1, 2}, 3}, {{0, 1}, 2}}, 3, 10), (Pairs{{0, 1}, {3, 2}}));
  EXPECT_EQ(learn_byte_pairs({{{1, 0}, 2}, {{0, 1}, 2}}, 2, 10), (Pairs{{0, 1}, {1, 0}}));
  EXPECT_EQ(learn_byte_pairs({{{0, 0, 0, 0}, 2}}, 1, 10), (Pairs{{0, 0}, {1, 1}}));
  EXPECT_EQ(learn_byte_pairs({{{0, 1}, 1}}, 2, 10), Pairs{});  // no pair occurs twice
  EXPECT_EQ(learn_byte_pairs({{{0, 1, 0, 1}, 5}}, 2, 1), (Pairs{{0, 1}}));
}

}  // namespace
}  // namespace fovea::text
