// The text of a translation as its tokens come: what was written is never taken back and never written twice.
#include "fovea/decoding/text_stream.h"

#include <gtest/gtest.h>

#include "tests/decoding/small_model.h"

namespace fovea::decoding {
namespace {

/// Streams the translations of a line's parts as they are given, and finishes; parts without a text are left
/// out, as the search leaves them out.
std::string streamed(const std::vector<std::string>& translations, std::vector<text::Chunk> parts,
                     std::size_t* before_finish = nullptr) {
  const auto& tokenizer = test::small_tokenizer();
  TextStream stream(tokenizer);
  stream.begin(parts);
  std::string out;
  std::vector<std::string> texts;
  for (std::size_t p = 0; p < translations.size(); ++p) {
    auto tokens = tokenizer.encode_target(translations[p]);
    tokens.pop_back();  // eos
    texts.push_back(tokenizer.decode_target(tokens));
    std::int64_t position = 0;
    for (const auto token : tokens) out += stream.add({0, 0, position++, token, 0.0f, p});
  }
  if (before_finish) *before_finish = out.size();
  const std::string whole = text::join_chunks(texts, parts);
  EXPECT_EQ(out + stream.finish(whole), whole);
  return out;
}

TEST(TextStream, ALineIsWrittenTokenByToken) {
  std::size_t written = 0;
  EXPECT_EQ(streamed({"baren schlei the."}, {{"x", ""}}, &written), "baren schlei the.");
  EXPECT_EQ(written, std::string("baren schlei the.").size());
  EXPECT_EQ(streamed({""}, {{"", ""}}), "");
}

TEST(TextStream, CharactersThatLackBytesWait) {
  EXPECT_EQ(streamed({"\xF0\x9F\x98\x80 ba \xC3\xA9"}, {{"x", ""}}), "\xF0\x9F\x98\x80 ba \xC3\xA9");
}

TEST(TextStream, PartsAreJoinedAsTheyWillBe) {
  // Two spaces between them, none, none after a full-width mark, between ideographs.
  EXPECT_EQ(streamed({"baren.", "the", "der"}, {{"a.", "  "}, {"b", ""}, {"c", ""}}), "baren.  theder");
  EXPECT_EQ(streamed({"baren.", "the"}, {{"\u4f60\u3002", ""}, {"\u597d", ""}}), "baren. the");
  EXPECT_EQ(streamed({"\u4f60\u3002", "\u597d"}, {{"a.", " "}, {"b", ""}}), "\u4f60\u3002\u597d");
  EXPECT_EQ(streamed({"\u4f60\u3002", "baren"}, {{"a.", " "}, {"b", ""}}), "\u4f60\u3002 baren");
}

TEST(TextStream, PartsThatGiveNothingLeaveTheirSpaces) {
  EXPECT_EQ(streamed({"", "the", "", "", "der", ""},
                     {{"a", " "}, {"b", " "}, {"c", "  "}, {"d", " "}, {"e", " "}, {"f", ""}}),
            " the    der");
}

TEST(TextStream, LinesFollowEachOther) {
  const auto& tokenizer = test::small_tokenizer();
  TextStream stream(tokenizer);
  for (const std::string line : {"baren", "moli zwei"}) {
    stream.begin({{line, ""}});
    std::string out;
    for (const auto token : tokenizer.encode_target(line)) out += stream.add({0, 0, 0, token, 0.0f});
    EXPECT_EQ(out + stream.finish(line), line);
  }
  stream.begin({{"x", ""}});
  EXPECT_EQ(stream.finish("other"), "other");
}

}  // namespace
}  // namespace fovea::decoding
