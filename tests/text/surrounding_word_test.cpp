#include "fovea/text/surrounding_word.h"

#include <gtest/gtest.h>

namespace fovea::text {
namespace {

// The piece is what stands between brackets.
std::string word(std::string text) {
  const auto begin = text.find('[');
  text.erase(begin, 1);
  const auto end = text.find(']');
  text.erase(end, 1);
  return surrounding_word(text, begin, end - begin);
}

TEST(SurroundingWord, OfAnyOfItsPieces) {
  EXPECT_EQ(word("▁in[▁Kra]ków▁by"), "▁Kraków");
  EXPECT_EQ(word("▁in▁Kra[kó]w▁by"), "▁Kraków");
  EXPECT_EQ(word("▁in▁Kra[ków]"), "▁Kraków");
  EXPECT_EQ(word("[▁Kra]ków"), "▁Kraków");
  EXPECT_EQ(word("[Kra]ków▁by"), "Kraków");
}

TEST(SurroundingWord, PunctuationIsNoneOfIt) {
  EXPECT_EQ(word("▁(Kra[ków])."), "▁Kraków");
  EXPECT_EQ(word("▁Kraków[).]"), ").");
  EXPECT_EQ(word("▁O'[Neill],▁who"), "▁O'Neill");
  EXPECT_EQ(word("▁2,5[00],▁who"), "▁2,500");
  EXPECT_EQ(word("▁a[▁--]▁b"), "▁--");
}

TEST(SurroundingWord, ASpaceAloneStandsForWhatItBegins) {
  EXPECT_EQ(word("▁in[▁]Kraków"), "▁Kraków");
  EXPECT_EQ(word("▁in[▁]"), "");
  EXPECT_EQ(word("▁in[▁]▁by"), "");
  EXPECT_EQ(word("▁in[▁]--"), "");
}

TEST(SurroundingWord, ScriptsWithoutSpacesStandForThemselves) {
  EXPECT_EQ(word("▁我爱[北京]天安门"), "北京");
  EXPECT_EQ(word("▁我用[iPh]one打电话"), "iPhone");
  EXPECT_EQ(word("▁我用iPh[one]打电话。"), "iPhone");
}

}  // namespace
}  // namespace fovea::text
