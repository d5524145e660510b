#include "fovea/text/load_tokenizer.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "fovea/base/error.h"
#include "fovea/base/file.h"

namespace fovea::text {
namespace {

/// A folder that is gone when the test is.
class Folder {
 public:
  Folder() { std::filesystem::create_directories(path_); }
  ~Folder() { std::filesystem::remove_all(path_); }
  void write(const char* name, std::string_view text) const { std::ofstream(path_ / name) << text; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_ =
      std::filesystem::temp_directory_path() /
      (std::string("fovea_") + testing::UnitTest::GetInstance()->current_test_info()->name());
};

std::string fixture(const char* name) {
  return read_file(std::filesystem::path(FOVEA_SOURCE_DIR) / "tests/text/tokenizers" / name, 1 << 20,
                   Error::Kind::model);
}

TEST(LoadTokenizer, ReadsTokenizerJsonAndWhatTheOtherFilesSay) {
  const Folder folder;
  folder.write("tokenizer.json", fixture("bert.json"));
  folder.write(
      "tokenizer_config.json",
      R"({"model_max_length": 512, "cls_token": "[CLS]", "mask_token": {"content": "[MASK]", "lstrip": true},
                   "bos_token": null, "eos_token": "nowhere"})");
  folder.write("special_tokens_map.json", R"({"sep_token": "[SEP]", "cls_token": "[PAD]"})");
  const auto tokenizer = load_tokenizer(folder.path());
  EXPECT_EQ(tokenizer->special().cls, 2);
  EXPECT_EQ(tokenizer->special().sep, 3);
  EXPECT_EQ(tokenizer->special().mask, 4);
  EXPECT_EQ(tokenizer->special().bos, -1);
  EXPECT_EQ(tokenizer->special().eos, -1);
  EXPECT_EQ(tokenizer->max_length(), 512u);
  EXPECT_EQ(tokenizer->encode("").ids, (std::vector<std::int32_t>{2, 3}));
  EXPECT_EQ(tokenizer->find("[MASK]"), 4);
  EXPECT_EQ(tokenizer->piece(4), "[MASK]");
}

TEST(LoadTokenizer, B19_AGreatestLengthBeyondAllBoundsIsNone) {
  const Folder folder;
  folder.write("tokenizer.json", fixture("gpt2.json"));
  folder.write("tokenizer_config.json", R"({"model_max_length": 1000000000000000019884624838656})");
  EXPECT_EQ(load_tokenizer(folder.path())->max_length(), 0u);
}

TEST(LoadTokenizer, ReadsAPairOfSentencePieceModels) {
  const auto tokenizer = load_tokenizer(std::filesystem::path(FOVEA_SOURCE_DIR) / "models/tatoeba-en-de");
  const std::string text = "The house is small.";
  const Encoding encoding = tokenizer->encode(text);
  EXPECT_EQ(encoding.ids.back(), tokenizer->special().eos);
  EXPECT_EQ(encoding.special.back(), 1);
  EXPECT_EQ(encoding.ranges.back(), TextRange{});
  EXPECT_EQ(text.substr(encoding.ranges[0].begin, encoding.ranges[0].end - encoding.ranges[0].begin), "The");
  EXPECT_EQ(tokenizer->encode(text, {.add_special = false}).size() + 1, encoding.size());
  const std::string german = "Das Haus ist klein.";
  const auto target = tokenizer->encode_target(german, {});
  EXPECT_EQ(tokenizer->decode(target.ids), german);
  EXPECT_EQ(tokenizer->decode(target.ids, false), german + " </s>");
  EXPECT_EQ(tokenizer->encode_pair(text, text, {}).size(), 2 * encoding.size());
  EXPECT_EQ(tokenizer->find("</s>"), tokenizer->special().eos);
  EXPECT_EQ(tokenizer->piece(-1), "");
}

TEST(LoadTokenizer, SaysWhatItLookedFor) {
  const Folder folder;
  try {
    load_tokenizer(folder.path());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::model);
    EXPECT_NE(std::string(error.what()).find("tokenizer.json"), std::string::npos) << error.what();
  }
  folder.write("tokenizer.json", fixture("bert.json"));
  folder.write("tokenizer_config.json", R"({"cls_token": 5})");
  EXPECT_THROW(load_tokenizer(folder.path()), Error);
}

}  // namespace
}  // namespace fovea::text
