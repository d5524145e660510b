// Tokens of any tokenizer as pieces to be read in a picture.
#include "fovea/text/piece_labels.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "fovea/base/file.h"
#include "fovea/text/tokenizer_json.h"

namespace fovea::text {
namespace {

std::vector<std::string> labels(const std::string& kind, const std::string& text) {
  const auto path = std::filesystem::path(FOVEA_SOURCE_DIR) / "tests/text/tokenizers" / (kind + ".json");
  const auto tokenizer = TokenizerJson::parse(read_file(path, 1 << 20, Error::Kind::model), path.string());
  return piece_labels(*tokenizer, tokenizer->encode(text), text);
}

// What the labels spell: pieces joined, ▁ a blank.
std::string spelt(const std::vector<std::string>& pieces) {
  std::string text;
  for (const auto& piece : pieces) text += piece;
  for (auto at = text.find("▁"); at != std::string::npos; at = text.find("▁")) text.replace(at, 3, " ");
  return text;
}

TEST(PieceLabels, SpellTheTextWhateverTheTokenizer) {
  for (const std::string kind : {"gpt2", "llama3", "qwen2", "t5", "llama2", "mistral", "xlm-roberta"}) {
    auto pieces = labels(kind, "Two words, naïve 汉字 😀 end.");
    std::erase_if(pieces, [](const auto& piece) { return piece.starts_with("<") && piece.ends_with(">"); });
    EXPECT_EQ(spelt(pieces), " Two words, naïve 汉字 😀 end.") << kind;
    EXPECT_EQ(pieces[0].find("▁"), 0u) << kind;
  }
}

TEST(PieceLabels, WhatIsPutAroundATextIsItsPiece) {
  const auto pieces = labels("bert", "two words");
  EXPECT_EQ(pieces.front(), "[CLS]");
  EXPECT_EQ(pieces.back(), "[SEP]");
}

}  // namespace
}  // namespace fovea::text
