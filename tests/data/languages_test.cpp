#include "fovea/data/languages.h"

#include <gtest/gtest.h>

namespace fovea::data {
namespace {

TEST(Languages, TheEndingOfAFileNamesItsLanguage) {
  EXPECT_EQ(language_of("multi30k/train.en.gz"), "en");
  EXPECT_EQ(language_of("a.b/test_2016.de"), "de");
  EXPECT_EQ(language_of("a.b/text"), "");
  EXPECT_EQ(language_of(""), "");
}

TEST(Languages, I08_SwappedFilesAreNoticed) {
  EXPECT_TRUE(swapped_languages("t.de.gz", "t.en.gz", "en", "de"));
  EXPECT_TRUE(swapped_languages("t.de", "references.txt", "en", "de"));
  EXPECT_TRUE(swapped_languages("lines", "t.en", "en", "de"));
  EXPECT_FALSE(swapped_languages("t.en.gz", "t.de.gz", "en", "de"));
  EXPECT_FALSE(swapped_languages("t.en", "copy.en", "en", "de"));
  EXPECT_FALSE(swapped_languages("source.txt", "target.txt", "en", "de"));
  EXPECT_FALSE(swapped_languages("t.de", "t.en", "", ""));
  EXPECT_FALSE(swapped_languages("t.de", "t.fr", "xx", "yy"));
}

}  // namespace
}  // namespace fovea::data
