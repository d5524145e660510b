#include "fovea/data/document_text.h"

#include <gtest/gtest.h>

#include "fovea/base/error.h"
#include "tests/base/scratch.h"
#include "tests/data/gzip.h"

namespace fovea::data {
namespace {

using Texts = std::vector<std::string>;

class DocumentTexts : public testing::Test {
 protected:
  std::string file(const std::string& name, const std::string& text) { return folder_.write(name, text); }
  Texts read(const Texts& paths, Documents documents, std::int64_t column = 0) {
    return read_documents(paths, {.documents = documents, .column = column}, &statistics_);
  }

  test::ScratchFolder folder_;
  DocumentStatistics statistics_;
};

TEST_F(DocumentTexts, AFileIsOneDocumentByteForByte) {
  const std::string text = "a\r\n\n\tb \n\nc";
  EXPECT_EQ(read({file("t", text)}, Documents::file), Texts{text});
  EXPECT_EQ(read({file("t.gz", gzip(text))}, Documents::file), Texts{text});
  EXPECT_EQ(read({file("t", "\xef\xbb\xbf" + text), file("u", "u\n")}, Documents::file),
            (Texts{text, "u\n"}));
  EXPECT_EQ(statistics_.repaired, 0);
}

TEST_F(DocumentTexts, ParagraphsEndAtEmptyLines) {
  EXPECT_EQ(read({file("t", "\n\na\nb\n\n\nc\n"), file("u", "d")}, Documents::paragraphs),
            (Texts{"a\nb", "c", "d"}));
}

TEST_F(DocumentTexts, LinesOrAColumnOfThem) {
  EXPECT_EQ(read({file("t", "a\tb\tc\n\nd\te\tf\n")}, Documents::lines), (Texts{"a\tb\tc", "d\te\tf"}));
  EXPECT_EQ(read({file("t", "a\tb\tc\nd\te\tf\n")}, Documents::lines, 3), (Texts{"c", "f"}));
  EXPECT_EQ(read({file("t", "a\tb\tc\nd\t\tf\n")}, Documents::lines, 2), Texts{"b"});
  try {
    read({file("t", "a\tb\nc\n")}, Documents::lines, 2);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::data);
    EXPECT_TRUE(std::string(error.what()).ends_with("/t:2: has 1 columns, not 2")) << error.what();
  }
}

TEST_F(DocumentTexts, I02_WhatIsNotUtf8IsRepairedAndNamed) {
  EXPECT_EQ(read({file("t",
                       "ab\xff"
                       "c")},
                 Documents::file),
            Texts{"ab\xef\xbf\xbd"
                  "c"});
  EXPECT_EQ(statistics_.repaired, 1);
  EXPECT_TRUE(statistics_.first_repaired.ends_with("/t, byte 3")) << statistics_.first_repaired;
  read({file("t", "ab\nc\xff\n")}, Documents::lines);
  EXPECT_TRUE(statistics_.first_repaired.ends_with("/t:2:2")) << statistics_.first_repaired;
  EXPECT_THROW(read({file("t",
                          "\xff\xfe"
                          "a")},
                    Documents::file),
               Error);
}

TEST_F(DocumentTexts, I01_AMissingFileIsNamed) {
  EXPECT_THROW(read({folder_.path("missing")}, Documents::file), Error);
  EXPECT_THROW(read({folder_.path("missing")}, Documents::lines), Error);
}

TEST(TakeEnd, OfAFileItTakesCharacters) {
  Texts files{"0123456789", "äöüß"};
  EXPECT_EQ(take_end(files, Documents::file, 0.25), (Texts{"789", "ß"}));  // 10 - floor(7.5), 4 - 3
  EXPECT_EQ(files, (Texts{"0123456", "äöü"}));
  EXPECT_EQ(take_end(files, Documents::file, 0.0), (Texts{"", ""}));
}

TEST(TakeEnd, OfManyDocumentsItTakesTheLast) {
  Texts lines{"a", "b", "c", "d", "e"};
  EXPECT_EQ(take_end(lines, Documents::lines, 0.3), (Texts{"d", "e"}));
  EXPECT_EQ(lines, (Texts{"a", "b", "c"}));
  EXPECT_EQ(take_end(lines, Documents::lines, 0.0), Texts{});
}

TEST(CountCharacters, CountsCodePoints) { EXPECT_EQ(count_characters("aäß\n春"), 5); }

}  // namespace
}  // namespace fovea::data
