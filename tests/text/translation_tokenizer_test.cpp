#include "fovea/text/translation_tokenizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>

#include "fovea/base/error.h"
#include "fovea/text/sentencepiece_trainer.h"
#include "tests/text/model_builder.h"
#include "tests/text/sample_text.h"

namespace fovea::text {
namespace {

using Files = TranslationTokenizer::Files;
using Ids = std::vector<std::int32_t>;
using sample::ModelBuilder;

SentencePieceModel trained(std::uint64_t seed) {
  return SentencePieceModel::parse(
      train_sentencepiece({.kind = SentencePieceTraining::Kind::bpe, .vocabulary_size = 500},
                          sample::sentences(800, seed)),
      "m");
}

SentencePieceModel small() { return SentencePieceModel::parse(ModelBuilder::small().build(), "small"); }

void expect_refused(const Files& files, std::string_view what) {
  try {
    TranslationTokenizer::parse(files, "dir");
    ADD_FAILURE() << "accepted; expected: " << what;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::model);
    const std::string message = error.what();
    EXPECT_EQ(message.find("dir/"), 0u) << message;
    EXPECT_NE(message.find(what), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
}

TEST(TranslationTokenizer, JointIdsAreSentencePiecesWithTheEndAppended) {
  const auto model = trained(1);
  const TranslationTokenizer tokenizer(model, {.source_language = "en", .target_language = "de"});
  EXPECT_FALSE(tokenizer.has_separate_vocabularies());
  for (const std::string& line : sample::sentences(50, 1)) {
    Ids expected = model.encode(line);
    expected.push_back(0);
    EXPECT_EQ(tokenizer.encode_source(line), expected);
    EXPECT_EQ(tokenizer.encode_target(line), expected);
    EXPECT_EQ(tokenizer.decode_target(expected), line);
  }
  EXPECT_EQ(tokenizer.encode_source(""), Ids{0});
  EXPECT_EQ(tokenizer.decode_target(Ids{2, 1, 0, 2, 2}), "");
}

TEST(TranslationTokenizer, WordsOfTheSourceStandInForUnknownOnes) {
  const auto model = SentencePieceModel::parse(
      train_sentencepiece({.vocabulary_size = 200, .byte_fallback = false}, sample::sentences(800, 1)), "m");
  const TranslationTokenizer tokenizer(model, {});
  const std::string line = sample::sentences(1, 4).front() + " Q\u0142\u0144x";
  const Ids ids = tokenizer.encode_source(line);
  const auto words = tokenizer.source_words(line);
  ASSERT_EQ(words.size(), ids.size());
  EXPECT_EQ(words.back(), "");
  // Each unknown run replaced by itself gives the line back.
  std::vector<std::string> unknown;
  for (std::size_t i = 0; i < ids.size(); ++i)
    if (ids[i] == tokenizer.target_vocabulary().unk()) unknown.push_back(words[i]);
  ASSERT_GE(unknown.size(), 1u);
  EXPECT_EQ(tokenizer.decode_target(ids, unknown), line);
  EXPECT_NE(tokenizer.decode_target(ids), line);
  // A whole word comes with its space, once.
  const Ids space_unk{tokenizer.target_vocabulary().find("\u2581"), tokenizer.target_vocabulary().unk()};
  ASSERT_GE(space_unk[0], 0);
  const Ids two{space_unk[0], space_unk[1], space_unk[1]};
  EXPECT_EQ(tokenizer.decode_target(two, std::vector<std::string>{"\u2581one", "\u2581two"}), "one two");
}

TEST(TranslationTokenizer, EveryTokenOfTheSourceHasAWord) {
  const TranslationTokenizer tokenizer(trained(1), {});
  for (const std::string& line : sample::sentences(50, 6)) {
    const auto words = tokenizer.source_words(line);
    EXPECT_EQ(words.size(), tokenizer.encode_source(line).size());
    for (std::size_t i = 0; i + 1 < words.size(); ++i) EXPECT_NE(words[i], "") << i << " of " << line;
  }
  EXPECT_EQ(tokenizer.source_words(""), std::vector<std::string>{""});
}

TEST(TranslationTokenizer, FilesComeBackTheSame) {
  const auto joint = trained(1), other = trained(2);
  for (const bool separate : {false, true}) {
    const TranslationTokenizer::Settings settings{"en", "de", 200};
    const auto tokenizer =
        separate ? TranslationTokenizer(joint, other, settings) : TranslationTokenizer(joint, settings);
    const Files files = tokenizer.files();
    EXPECT_EQ(files.contains("target_vocab.json"), separate);
    EXPECT_EQ(files.at("source.spm"), joint.bytes());
    EXPECT_EQ(files.at("target.spm"), separate ? other.bytes() : joint.bytes());
    const auto again = TranslationTokenizer::parse(files, "dir");
    EXPECT_EQ(again.files(), files);
    EXPECT_EQ(again.has_separate_vocabularies(), separate);
    EXPECT_EQ(again.settings().source_language, "en");
    EXPECT_EQ(again.settings().target_language, "de");
    EXPECT_EQ(again.settings().max_length, 200);
    for (const std::string& line : sample::sentences(30, 3)) {
      EXPECT_EQ(again.encode_source(line), tokenizer.encode_source(line));
      EXPECT_EQ(again.encode_target(line), tokenizer.encode_target(line));
      EXPECT_EQ(again.decode_target(again.encode_target(line)), line);
    }
  }
}

TEST(TranslationTokenizer, TheConfigurationSaysWhatMarianTokenizerReads) {
  const Files files = TranslationTokenizer(small(), {"en", "de", 512}).files();
  EXPECT_EQ(files.at("tokenizer_config.json"), R"({
  "tokenizer_class": "MarianTokenizer",
  "source_lang": "en",
  "target_lang": "de",
  "eos_token": "</s>",
  "unk_token": "<unk>",
  "pad_token": "<pad>",
  "model_max_length": 512,
  "separate_vocabs": false,
  "sp_model_kwargs": {},
  "clean_up_tokenization_spaces": false
}
)");
  EXPECT_EQ(files.at("special_tokens_map.json"), R"({
  "eos_token": "</s>",
  "unk_token": "<unk>",
  "pad_token": "<pad>"
}
)");
  EXPECT_EQ(files.at("vocab.json"),
            R"({
  "</s>": 0,
  "<unk>": 1,
  "<pad>": 2,
  "▁": 3,
  "a": 4,
  "b": 5,
  "ab": 6,
  "▁ab": 7
}
)");
}

/// As in OPUS-MT: two SentencePiece models, one vocabulary with ids of its own.
Files opus_files() {
  Files files;
  files["source.spm"] = ModelBuilder::small().build();
  files["target.spm"] = ModelBuilder::small().piece("\xC3\xBC", -2).piece("c", -2).build();
  files["vocab.json"] =
      R"({"</s>": 0, "<unk>": 1, "ab": 2, "▁ab": 3, "a": 4, "ü": 5, ">>de<<": 6, "▁": 7, "<pad>": 8,
                           "▁only": 9})";
  return files;
}

TEST(TranslationTokenizer, VocabularyWithOtherIds) {
  const auto tokenizer = TranslationTokenizer::parse(opus_files(), "dir");
  EXPECT_EQ(tokenizer.settings().max_length, 512);
  EXPECT_EQ(tokenizer.source_vocabulary().size(), 10);
  EXPECT_EQ(tokenizer.source_vocabulary().pad(), 8);
  EXPECT_EQ(tokenizer.encode_source("ab a"), (Ids{3, 7, 4, 0}));
  EXPECT_EQ(tokenizer.encode_source("abb"), (Ids{3, 1, 0})) << "b is a piece that the vocabulary lacks";
  EXPECT_EQ(tokenizer.encode_source("ab\xC3\xBC"), (Ids{3, 5, 0}))
      << "unknown to the model, known to the vocabulary";
  EXPECT_EQ(tokenizer.encode_target("ab\xC3\xBC"), (Ids{3, 5, 0}));
  EXPECT_EQ(tokenizer.decode_target(Ids{8, 3, 5, 9, 2, 0}), "ab\xC3\xBC onlyab");
  EXPECT_EQ(tokenizer.source_pieces(Ids{3, 0}), (std::vector<std::string>{"\xE2\x96\x81"
                                                                          "ab",
                                                                          "</s>"}));
  EXPECT_THROW(tokenizer.decode_target(Ids{10}), Error);
  EXPECT_THROW(tokenizer.target_pieces(Ids{-1}), Error);
}

TEST(TranslationTokenizer, LanguageCodesAndSpecialPiecesInText) {
  const auto tokenizer = TranslationTokenizer::parse(opus_files(), "dir");
  EXPECT_EQ(tokenizer.encode_source(">>de<< ab"), (Ids{6, 3, 0}));
  const Ids unknown_code = tokenizer.encode_source(">>xx<< ab");
  EXPECT_EQ(unknown_code.front(), 7) << "a code that the vocabulary lacks is text";
  for (const char* text : {"</s>", "<pad>", "a</s>a"})
    for (const std::int32_t id : tokenizer.encode_source(std::string(text) + "a"))
      EXPECT_NE(id, tokenizer.source_vocabulary().pad());
  EXPECT_EQ(std::ranges::count(tokenizer.encode_source("a</s>a"), 0), 1) << "text cannot end the sentence";
}

TEST(TranslationTokenizer, ReadsADirectory) {
  const auto directory = std::filesystem::path(::testing::TempDir()) / "fovea translation tokenizer";
  std::filesystem::create_directories(directory);
  const TranslationTokenizer tokenizer(trained(1), {"en", "de", 512});
  for (const auto& [name, bytes] : tokenizer.files())
    std::ofstream(directory / name, std::ios::binary) << bytes;
  EXPECT_EQ(TranslationTokenizer::read(directory).files(), tokenizer.files());
  std::filesystem::remove(directory / "target.spm");
  try {
    TranslationTokenizer::read(directory);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find((directory / "target.spm").string() + ": missing"), 0u)
        << error.what();
  }
  std::filesystem::remove_all(directory);
}

// A vocabulary cut anywhere is refused whole.
TEST(TranslationTokenizer, B08_AVocabularyCutAnywhereIsRefused) {
  const Files whole = TranslationTokenizer(trained(1), {}).files();
  const std::string& json = whole.at("vocab.json");
  for (std::size_t i = 0; i < 100; ++i) {
    Files files = whole;
    files["vocab.json"] = json.substr(0, json.size() * i / 100);
    expect_refused(files, "vocab.json: ");
  }
}

// The vocabulary decides which id an unknown piece has; without one, or with one beyond it, it is no
// vocabulary.
TEST(TranslationTokenizer, B11_TheUnknownPieceIsNeeded) {
  const auto refused = [](std::string_view json, std::string_view what) {
    Files files = opus_files();
    files["vocab.json"] = json;
    expect_refused(files, what);
  };
  refused(R"({"</s>": 0, "a": 1, "<pad>": 2})", "no piece <unk>");
  refused(R"({"</s>": 0, "<unk>": 2000000000, "<pad>": 2})", "the id 2000000000 in a vocabulary of 3");
  refused(R"({"</s>": 0, "<unk>": null, "<pad>": 2})", "no natural number");
}

TEST(TranslationTokenizer, B09_BrokenVocabularies) {
  const auto refused = [](std::string_view json, std::string_view what) {
    Files files = opus_files();
    files["vocab.json"] = json;
    expect_refused(files, what);
  };
  refused("", "JSON");
  refused("{\"a\": 1", "JSON");
  refused("[]", "an object was expected");
  refused(R"({"</s>": 0, "<unk>": 1})", "no piece <pad>");
  refused(R"({"</s>": 0, "</s>": 1})", "the key \"</s>\" twice");
  refused(R"({"</s>": 0, "<unk>": 0, "<pad>": 1})", "has the id 0 of");
  refused(R"({"</s>": -1, "<unk>": 0, "<pad>": 1})", "no natural number");
  refused(R"({"</s>": 0.5, "<unk>": 0, "<pad>": 1})", "no natural number");
  refused(R"({"</s>": "0", "<unk>": 0, "<pad>": 1})", "no natural number");
  refused(R"({"</s>": 4000000000, "<unk>": 0, "<pad>": 1})", "the id 4000000000 in a vocabulary of 3");
  refused(R"({"</s>": 18446744073709551615, "<unk>": 0, "<pad>": 1})",
          "</s>: is 18446744073709551615, but an integer");
  refused(R"({"": 3, "</s>": 0, "<unk>": 1, "<pad>": 2})", "an empty piece");
  refused("{\"\xff\": 3}", "UTF-8");
  refused(std::string(100000, '['), "nests deeper");
}

TEST(TranslationTokenizer, BrokenConfigurationsAndMissingFiles) {
  for (const char* file : {"source.spm", "target.spm", "vocab.json"}) {
    Files files = opus_files();
    files.erase(file);
    expect_refused(files, std::string(file) + ": missing");
  }
  const auto refused = [](std::string_view json, std::string_view what) {
    Files files = opus_files();
    files["tokenizer_config.json"] = json;
    expect_refused(files, what);
  };
  refused("[]", "an object was expected");
  refused(R"({"source_lang": 1})", "source_lang: is 1, but a text was expected");
  refused(R"({"separate_vocabs": 1})", "separate_vocabs: is 1, but true or false was expected");
  refused(R"({"separate_vocabs": true})", "target_vocab.json: missing");
  refused(R"({"model_max_length": 0})", "model_max_length: is");
  refused(R"({"model_max_length": "long"})", "model_max_length: is");
}

TEST(TranslationTokenizer, B19_MaximumLengthOf1e30) {
  Files files = opus_files();
  files["tokenizer_config.json"] = R"({"model_max_length": 1000000000000000019884624838656})";
  EXPECT_EQ(TranslationTokenizer::parse(files, "dir").settings().max_length,
            std::numeric_limits<std::int32_t>::max());
  files["tokenizer_config.json"] = R"({"model_max_length": 1e30})";
  EXPECT_EQ(TranslationTokenizer::parse(files, "dir").settings().max_length,
            std::numeric_limits<std::int32_t>::max());
}

}  // namespace
}  // namespace fovea::text
