#include "fovea/text/tokenizer_trainer.h"

#include <gtest/gtest.h>

#include "fovea/text/shorten.h"
#include "fovea/text/tokenizer_json.h"
#include "fovea/text/word_piece_trainer.h"
#include "tests/base/scratch.h"

namespace fovea::text {
namespace {

using fovea::test::expect_error;
using Kind = TokenizerTraining::Kind;
using Pieces = std::vector<std::string>;

std::shared_ptr<TokenizerJson> trained(const TokenizerTraining& options, const Pieces& lines) {
  return TokenizerJson::parse(train_tokenizer_json(options, lines), "test");
}

Pieces pieces(const Tokenizer& tokenizer, std::string_view text) {
  Pieces found;
  for (const auto id : tokenizer.encode(text).ids) found.push_back(tokenizer.piece(id));
  return found;
}

TEST(TokenizerTrainer, WordsArePartedAsInTreebanks) {
  const Pieces lines{"It is n't good , it 's bad .", "Isn't it?"};
  const auto tokenizer = trained({.kind = Kind::words}, lines);
  EXPECT_EQ(pieces(*tokenizer, "ISN'T it's"), (Pieces{"[CLS]", "is", "n't", "it", "'s", "[SEP]"}));
  EXPECT_EQ(pieces(*tokenizer, "good, ugly."), (Pieces{"[CLS]", "good", ",", "[UNK]", ".", "[SEP]"}));
  EXPECT_EQ(tokenizer->find("[PAD]"), 0);
  EXPECT_EQ(tokenizer->find("[MASK]"), 4);
  EXPECT_EQ(tokenizer->find("it"), 5) << "the most frequent word comes first";
}

TEST(TokenizerTrainer, PairsHaveTypes) {
  const auto tokenizer = trained({.kind = Kind::words}, Pieces{"a b"});
  const auto encoding = tokenizer->encode_pair("a", "b a", {});
  EXPECT_EQ(encoding.types, (std::vector<std::int32_t>{0, 0, 0, 1, 1, 1}));
}

TEST(TokenizerTrainer, RareWordsAndThoseBeyondTheSizeAreUnknown) {
  const Pieces lines{"a a a b b c"};
  EXPECT_EQ(pieces(*trained({.least_count = 2}, lines), "a b c"),
            (Pieces{"[CLS]", "a", "b", "[UNK]", "[SEP]"}));
  EXPECT_EQ(pieces(*trained({.size = 6}, lines), "a b c"), (Pieces{"[CLS]", "a", "[UNK]", "[UNK]", "[SEP]"}));
}

TEST(TokenizerTrainer, CapitalsCountWhereTheyAreToCount) {
  EXPECT_EQ(pieces(*trained({.lowercase = false}, Pieces{"A a"}), "A a B"),
            (Pieces{"[CLS]", "A", "a", "[UNK]", "[SEP]"}));
}

TEST(TokenizerTrainer, CharactersAreTokens) {
  EXPECT_EQ(pieces(*trained({.kind = Kind::characters}, Pieces{"房间很小 A1。"}), "很 房a1?"),
            (Pieces{"[CLS]", "很", "房", "a", "1", "[UNK]", "[SEP]"}));
}

TEST(TokenizerTrainer, WordPiecesAreTheMostFrequentPairs) {
  // Worked by hand: "hug" 4, "pug" 2, "hugs" 1. Pairs: (##u,##g) 7 makes ##ug; (h,##ug) 5 makes hug; then
  // (p,##ug) 2 makes pug; (hug,##s) occurs once and is no merge.
  const std::vector<WordCount> words{{"hug", 4}, {"pug", 2}, {"hugs", 1}};
  EXPECT_EQ(learn_word_pieces(words, 100), (Pieces{"##g", "##s", "##u", "h", "p", "##ug", "hug", "pug"}));
  EXPECT_EQ(learn_word_pieces(words, 6), (Pieces{"##g", "##s", "##u", "h", "p", "##ug"}));
  const auto tokenizer = trained({.kind = Kind::word_piece}, Pieces{"hug hug hug hug pug pug hugs"});
  EXPECT_EQ(pieces(*tokenizer, "hugs pugs x"),
            (Pieces{"[CLS]", "hug", "##s", "pug", "##s", "[UNK]", "[SEP]"}));
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("Hugs").ids), "hugs");
}

TEST(TokenizerTrainer, TheSameLinesGiveTheSameBytes) {
  const Pieces lines{"b a c", "a c d é"};
  for (const Kind kind : {Kind::words, Kind::characters, Kind::word_piece})
    EXPECT_EQ(train_tokenizer_json({.kind = kind}, lines), train_tokenizer_json({.kind = kind}, lines));
}

TEST(TokenizerTrainer, NothingToLearnIsAnError) {
  expect_error(
      Error::Kind::data,
      [] {
        train_tokenizer_json({}, Pieces{"", "  "});
      },
      "no word");
  expect_error(
      Error::Kind::usage, [] { train_tokenizer_json({.size = 5}, Pieces{"a"}); }, "no room");
}

TEST(Shorten, TheLongerTextLosesItsEnd) {
  const auto tokenizer = trained({}, Pieces{"a b c d e f"});
  auto one = tokenizer->encode("a b c d e");
  EXPECT_FALSE(shorten(one, 7));
  EXPECT_TRUE(shorten(one, 4));
  EXPECT_EQ(tokenizer->decode(one.ids, false), "[CLS] a b [SEP]");
  auto two = tokenizer->encode_pair("a b c d e", "f a", {});
  EXPECT_TRUE(shorten(two, 7));
  EXPECT_EQ(tokenizer->decode(two.ids, false), "[CLS] a b [SEP] f a [SEP]");
  EXPECT_EQ(two.types, (std::vector<std::int32_t>{0, 0, 0, 0, 1, 1, 1}));
  expect_error(
      Error::Kind::data, [&] { shorten(two, 2); }, "special");
}

}  // namespace
}  // namespace fovea::text
