#include "fovea/views/attention_matrix.h"

#include <gtest/gtest.h>

#include <cmath>

#include "fovea/base/error.h"

namespace fovea::views {
namespace {

TEST(MergePieces, SumsOverTheSourceAndAveragesOverTheTarget) {
  AttentionMatrix pieces;
  pieces.source = {"▁bi", "cycles", ".", "</s>"};
  pieces.target = {"▁Fahr", "rad"};
  pieces.weights = {0.1f, 0.2f, 0.3f, 0.4f,  //
                    0.5f, 0.1f, 0.1f, 0.3f};
  const auto words = merge_pieces(pieces);
  EXPECT_EQ(words.source, (std::vector<std::string>{"▁bicycles", ".", "</s>"}));
  EXPECT_EQ(words.target, (std::vector<std::string>{"▁Fahrrad"}));
  const std::vector<float> expected{0.45f, 0.2f, 0.35f};  // (0.3 + 0.6)/2, (0.3 + 0.1)/2, (0.4 + 0.3)/2
  ASSERT_EQ(words.weights.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(words.weights[i], expected[i], 1e-6);
}

std::vector<std::string> words_of(const std::vector<std::string>& pieces) {
  return merge_pieces({pieces, {}, {}}).source;
}

TEST(MergePieces, KeepsWhereTheSecondTextBegins) {
  AttentionMatrix pieces{
      {"[CLS]", "▁a", "b", "[SEP]", "▁c", "d"}, {"▁a", "b", "▁c"}, std::vector<float>(18, 0.1f)};
  pieces.source_second = 4;
  pieces.target_second = 2;
  const auto words = merge_pieces(pieces);
  EXPECT_EQ(words.source_second, 3u);
  EXPECT_EQ(words.target_second, 1u);
}

TEST(MergePieces, FindsWords) {
  using Words = std::vector<std::string>;
  EXPECT_EQ(words_of({"He", "llo", "▁wor", "ld", "!", "!"}), (Words{"Hello", "▁world", "!!"}));
  EXPECT_EQ(words_of({"▁don", "'", "t", "▁3", ".", "5", "."}), (Words{"▁don't", "▁3.5", "."}));
  EXPECT_EQ(words_of({"▁", "(", "a", ")", ",", "▁b"}), (Words{"▁(a", "),", "▁b"}));
  EXPECT_EQ(words_of({"<s>", "a", "<unk>", "b", "</s>"}), (Words{"<s>", "a", "<unk>", "b", "</s>"}));
  EXPECT_EQ(words_of({"▁gr", "<0xC3>", "<0xBC>", "n"}), (Words{"▁grün"}));
  EXPECT_EQ(words_of({}), Words{});
}

TEST(MergePieces, RowsStillSumToOne) {
  AttentionMatrix pieces;
  pieces.source = {"▁a", "b", "▁c", "d", "e", "."};
  pieces.target = {"▁x", "▁y", "z", "z", "?"};
  for (std::size_t t = 0; t < 5; ++t) {
    for (std::size_t s = 0; s < 6; ++s) pieces.weights.push_back(static_cast<float>((t * 7 + s * 3) % 5 + 1));
    float sum = 0;
    for (std::size_t s = 0; s < 6; ++s) sum += pieces.weights[t * 6 + s];
    for (std::size_t s = 0; s < 6; ++s) pieces.weights[t * 6 + s] /= sum;
  }
  const auto words = merge_pieces(pieces);
  EXPECT_EQ(words.target.size(), 3u);
  for (std::size_t t = 0; t < words.target.size(); ++t) {
    float sum = 0;
    for (std::size_t s = 0; s < words.source.size(); ++s) sum += words.at(t, s);
    EXPECT_NEAR(sum, 1.0f, 1e-5);
  }
}

TEST(AttentionMatrix, SaysWhatDisagrees) {
  try {
    check_matrix({{"a", "b"}, {"x"}, {1.0f}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "views: 1 attention weights for [1, 2] (target, source) tokens");
  }
}

TEST(Label, ShowsTheWordStartAsASpace) {
  EXPECT_EQ(label("▁Two"), "Two");
  EXPECT_EQ(label("New▁York"), "New York");
  EXPECT_EQ(label("▁"), "␣");
  EXPECT_EQ(label(""), "⋯");
}

TEST(JoinPieces, TakesPiecesOfScriptsWithoutBlanksAsWords) {
  const auto words = [](const std::vector<std::string>& pieces) { return join_pieces(pieces).words; };
  EXPECT_EQ(words({"▁我", "喜欢", "New", "ton", "的", "书", "。"}),
            (std::vector<std::string>{"▁我", "喜欢", "Newton", "的", "书", "。"}));
  EXPECT_EQ(words({"▁รัก", "เธอ"}), (std::vector<std::string>{"▁รัก", "เธอ"}));
  EXPECT_EQ(words({"▁사랑", "해"}), (std::vector<std::string>{"▁사랑해"}));  // Korean has blanks
  EXPECT_EQ(words({"▁", "<0xE6>", "<0x88>", "<0x91>"}), (std::vector<std::string>{"▁我"}));
}

}  // namespace
}  // namespace fovea::views
