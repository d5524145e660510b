#include "fovea/text/language_tokens.h"

#include <gtest/gtest.h>

#include "fovea/base/error.h"
#include "tests/base/scratch.h"

namespace fovea::text {
namespace {

using fovea::test::message_of;
using Ids = std::vector<std::int32_t>;
using Place = LanguageTokens::Place;

Vocabulary vocabulary_of(std::vector<std::string> more) {
  std::vector<std::string> pieces{"<s>", "<pad>", "</s>", "<unk>", "\u2581a", "__x", "a_b"};
  pieces.insert(pieces.end(), more.begin(), more.end());
  return Vocabulary::of(std::move(pieces), "test");
}

TEST(LanguageTokens, AreFoundInEveryManner) {
  const std::pair<const char*, std::vector<std::string>> manners[] = {
      {"de", {"__en__", "__de__"}}, {"de", {"en_XX", "de_DE"}}, {"deu", {"eng_Latn", "deu_Latn"}}};
  for (const auto& [name, pieces] : manners) {
    const auto vocabulary = vocabulary_of(pieces);
    LanguageTokens languages(vocabulary, Place::before, pieces[0], "");
    EXPECT_EQ(languages.languages(), pieces);
    EXPECT_TRUE(languages.needs_target());
    languages.choose(vocabulary, "", name);
    EXPECT_EQ(languages.first(), 8);
    Ids ids{4, 2};
    languages.frame_source(ids);
    EXPECT_EQ(ids, (Ids{7, 4, 2}));
    Ids said{4, 2};
    languages.frame_target(said);
    EXPECT_EQ(said, (Ids{8, 4, 2}));
  }
}

TEST(LanguageTokens, StandAfterTheTextWhereTheModelHasThemSo) {
  const auto vocabulary = vocabulary_of({"en_XX", "de_DE"});
  const LanguageTokens languages(vocabulary, Place::after, "en_XX", "de_DE");
  Ids ids{4, 2};
  std::vector<TextRange> ranges{{0, 1}, {}};
  languages.frame_source(ids, &ranges);
  EXPECT_EQ(ids, (Ids{4, 2, 7}));
  EXPECT_EQ(ranges.size(), 3u);
  EXPECT_EQ(languages.closing(), 2);
}

TEST(LanguageTokens, OfOpusAreThoseOfTheTarget) {
  const auto vocabulary = vocabulary_of({">>deu<<", ">>nld<<"});
  LanguageTokens languages(vocabulary, Place::wanted, "", "");
  Ids ids{4, 2};
  languages.frame_source(ids);
  EXPECT_EQ(ids, (Ids{4, 2}));
  languages.choose(vocabulary, "", "nld");
  languages.frame_source(ids);
  EXPECT_EQ(ids, (Ids{8, 4, 2}));
  Ids own{7, 4, 2};  // the text named one itself
  languages.frame_source(own);
  EXPECT_EQ(own, (Ids{7, 4, 2}));
  EXPECT_EQ(languages.first(), -1);
}

TEST(LanguageTokens, SayWhichThereAre) {
  const auto vocabulary = vocabulary_of({"zho_Hans", "zho_Hant", "deu_Latn"});
  LanguageTokens languages(vocabulary, Place::before, "", "");
  const auto none = message_of(Error::Kind::usage, [&] { languages.choose(vocabulary, "", "fr"); });
  EXPECT_NE(none.find("'fr' is none of the model's 3"), std::string::npos) << none;
  EXPECT_NE(none.find("zho_Hans, zho_Hant, deu_Latn"), std::string::npos) << none;
  const auto several = message_of(Error::Kind::usage, [&] { languages.choose(vocabulary, "zho", ""); });
  EXPECT_NE(several.find("'zho' is several"), std::string::npos) << several;
  LanguageTokens unnamed(vocabulary_of({}), Place::before, "", "");
  const auto pair = message_of(Error::Kind::usage, [&] { unnamed.choose(vocabulary, "", "de"); });
  EXPECT_NE(pair.find("one pair of languages"), std::string::npos) << pair;
}

}  // namespace
}  // namespace fovea::text
