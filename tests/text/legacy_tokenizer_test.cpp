#include "fovea/text/legacy_tokenizer.h"

#include <gtest/gtest.h>

#include "fovea/base/file.h"
#include "fovea/formats/json_writer.h"
#include "fovea/text/load_tokenizer.h"
#include "fovea/text/sentencepiece.h"
#include "fovea/text/tokenizer_json.h"
#include "tests/base/scratch.h"
#include "tests/text/oracle.h"
#include "tests/text/sample_text.h"

namespace fovea::text {
namespace {

using formats::Json;
using test::expect_error;
using test::ScratchFolder;
using Ids = std::vector<std::int32_t>;

/// A tokenizer.json of tests/text/tokenizers, and its vocabulary as files from before.
struct Fixture {
  explicit Fixture(const std::string& kind) {
    const auto path = std::filesystem::path(FOVEA_SOURCE_DIR) / "tests/text/tokenizers" / (kind + ".json");
    json = formats::read_json(path, Error::Kind::data);
    tokenizer = TokenizerJson::parse(read_file(path, 1 << 20, Error::Kind::data), path.string());
  }
  Json model() const { return json->at("model"); }

  void save_words(const ScratchFolder& folder) const {
    std::map<std::int64_t, std::string> pieces;
    for (const auto& [piece, id] : model().at("vocab").members()) pieces[id.integer()] = piece;
    std::string text;
    for (const auto& [_, piece] : pieces) text += piece + "\n";
    folder.write("vocab.txt", text);
  }
  void save_merges(const ScratchFolder& folder) const {
    formats::JsonWriter vocabulary;
    vocabulary.begin_object();
    for (const auto& [piece, id] : model().at("vocab").members()) vocabulary.field(piece, id.integer());
    folder.write("vocab.json", vocabulary.end_object().finish());
    std::string merges = "#version: 0.2\n";
    for (const Json& merge : model().at("merges").elements()) {
      auto part = merge.elements().begin();
      merges.append((*part).text()).append(" ");
      ++part;
      merges.append((*part).text()).append("\n");
    }
    folder.write("merges.txt", merges);
  }

  std::optional<Json> json;
  std::shared_ptr<const TokenizerJson> tokenizer;
};

void expect_same(const Tokenizer& found, const Tokenizer& expected) {
  sample::Dice dice(11);
  for (int i = 0; i < 200; ++i) {
    const std::string a = sample::awkward(dice, 50), b = sample::awkward(dice, 20);
    ASSERT_EQ(found.encode(a).ids, expected.encode(a).ids) << printable(a);
    const Encoding pair = found.encode_pair(a, b, {}), wanted = expected.encode_pair(a, b, {});
    ASSERT_EQ(pair.ids, wanted.ids);
    ASSERT_EQ(pair.types, wanted.types);
    ASSERT_EQ(found.decode(pair.ids), expected.decode(pair.ids));
  }
}

TEST(LegacyTokenizer, WordsOfBert) {
  const ScratchFolder folder;
  const Fixture bert("bert");
  bert.save_words(folder);
  const auto tokenizer = load_tokenizer(folder.path());
  expect_same(*tokenizer, *bert.tokenizer);
  EXPECT_EQ(tokenizer->special().cls, bert.tokenizer->find("[CLS]"));
  EXPECT_EQ(tokenizer->special().mask, bert.tokenizer->find("[MASK]"));
  folder.write("tokenizer_config.json", R"({"do_lower_case": false, "model_max_length": 77})");
  const auto cased = load_tokenizer(folder.path());
  EXPECT_EQ(cased->max_length(), 77u);
  EXPECT_NE(cased->encode("THE").ids, tokenizer->encode("THE").ids);
}

TEST(LegacyTokenizer, TokensThatTheFilesAdd) {
  const ScratchFolder folder;
  const Fixture bert("bert");
  bert.save_words(folder);
  const std::int32_t size = bert.tokenizer->size();
  folder.write("added_tokens.json",
               "{\"second\": " + std::to_string(size + 1) + ", \"first\": " + std::to_string(size) + "}");
  folder.write("special_tokens_map.json",
               R"({"additional_special_tokens": ["<third>"], "sep_token": "[CLS]"})");
  const auto tokenizer = load_tokenizer(folder.path());
  EXPECT_EQ(tokenizer->find("first"), size);
  EXPECT_EQ(tokenizer->find("second"), size + 1);
  EXPECT_EQ(tokenizer->find("<third>"), size + 2);
  const std::int32_t cls = tokenizer->find("[CLS]");
  EXPECT_EQ(tokenizer->encode("second<third>").ids, (Ids{cls, size + 1, size + 2, cls}));
  EXPECT_EQ(tokenizer->special().sep, cls);
}

TEST(LegacyTokenizer, MergesOfGpt2RobertaAndQwen2) {
  const std::pair<const char*, const char*> kinds[] = {
      {"gpt2", "GPT2Tokenizer"}, {"roberta", "RobertaTokenizerFast"}, {"qwen2", "Qwen2Tokenizer"}};
  for (const auto& [name, kind] : kinds) {
    SCOPED_TRACE(name);
    const ScratchFolder folder;
    const Fixture fixture(name);
    fixture.save_merges(folder);
    std::string added;
    for (const Json& token : fixture.json->at("added_tokens").elements()) {
      formats::JsonWriter entry;
      entry.begin_object()
          .field("content", token.at("content").text())
          .field("special", token.at("special").boolean());
      entry.field("lstrip", token.at("lstrip").boolean())
          .field("normalized", token.at("normalized").boolean());
      added += (added.empty() ? "\"" : ", \"") + std::to_string(token.at("id").integer()) + "\": ";
      added += entry.end_object().finish();
    }
    folder.write("tokenizer_config.json",
                 std::string("{\"tokenizer_class\": \"") + kind +
                     "\", \"add_prefix_space\": " + (std::string(name) == "roberta" ? "true" : "false") +
                     ", \"added_tokens_decoder\": {" + added + "}}");
    const auto tokenizer = load_tokenizer(folder.path());
    sample::Dice dice(12);
    for (int i = 0; i < 200; ++i) {
      const std::string text = sample::awkward(dice, 50);
      ASSERT_EQ(tokenizer->encode(text, {.add_special = false}).ids,
                fixture.tokenizer->encode(text, {.add_special = false}).ids)
          << printable(text);
    }
  }
}

/// A SentencePiece model with the ids that its family gives the special pieces.
std::string pieces(std::unordered_map<std::string, std::string> options) {
  options.insert(
      {{"vocab_size", "600"}, {"hard_vocab_limit", "false"}, {"normalization_rule_name", "identity"}});
  return oracle::train(options, sample::sentences(800, 3));
}

struct Family {
  const char *file, *config;
  std::unordered_map<std::string, std::string> options;
};

const Family t5{"spiece.model",
                R"({"tokenizer_class": "T5Tokenizer", "extra_ids": 5})",
                {{"pad_id", "0"}, {"eos_id", "1"}, {"unk_id", "2"}, {"bos_id", "-1"}}};
const Family xlm{"sentencepiece.bpe.model", R"({"tokenizer_class": "XLMRobertaTokenizer"})", {}};
const Family mbart{
    "sentencepiece.bpe.model", R"({"tokenizer_class": "MBartTokenizer", "src_lang": "de_DE"})", {}};
const Family llama{"tokenizer.model",
                   R"({"tokenizer_class": "LlamaTokenizer"})",
                   {{"model_type", "bpe"}, {"byte_fallback", "true"}}};

/// What a family puts around the ids of SentencePiece, each moved by `offset`.
void expect_around(const Family& family, std::int32_t offset, const Ids& before, const Ids& after) {
  const ScratchFolder folder;
  const std::string bytes = pieces(family.options);
  folder.write(family.file, bytes);
  folder.write("tokenizer_config.json", family.config);
  const auto model = SentencePieceModel::parse(bytes, "m");
  const auto tokenizer = load_tokenizer(folder.path());
  for (const std::string& line : sample::sentences(60, 9)) {
    Ids expected = before;
    for (const std::int32_t id : model.encode(line)) expected.push_back(id + offset);
    expected.insert(expected.end(), after.begin(), after.end());
    ASSERT_EQ(tokenizer->encode(line).ids, expected) << line;
  }
}

TEST(LegacyTokenizer, SentencePieceOfEachFamily) {
  expect_around(t5, 0, {}, {1});
  expect_around(xlm, 1, {0}, {2});
  expect_around(llama, 0, {1}, {});
  const ScratchFolder folder;
  const std::string bytes = pieces(mbart.options);
  folder.write(mbart.file, bytes);
  folder.write("tokenizer_config.json", mbart.config);
  const auto tokenizer = load_tokenizer(folder.path());
  // Languages follow the pieces, which are one more than SentencePiece has.
  const std::int32_t size = SentencePieceModel::parse(bytes, "m").size() + 1;
  EXPECT_EQ(tokenizer->find("ar_AR"), size);
  EXPECT_EQ(tokenizer->find("<mask>"), size + 25);
  expect_around(mbart, 1, {}, {2, size + 2});
}

TEST(LegacyTokenizer, ExtraIdsOfT5AreCountedDown) {
  const ScratchFolder folder;
  folder.write(t5.file, pieces(t5.options));
  folder.write("tokenizer_config.json", t5.config);
  const auto tokenizer = load_tokenizer(folder.path());
  EXPECT_EQ(tokenizer->find("<extra_id_0>"), tokenizer->size() - 1);
  EXPECT_EQ(tokenizer->find("<extra_id_4>"), tokenizer->size() - 5);
  EXPECT_EQ(tokenizer->encode("<extra_id_1>").ids, (Ids{tokenizer->size() - 2, 1}));
}

TEST(LegacyTokenizer, FaultsNameTheFile) {
  const ScratchFolder folder;
  const auto refused = [&](const std::string& what) {
    expect_error(
        Error::Kind::model, [&] { load_tokenizer(folder.path()); }, what);
  };
  refused("has no tokenizer");
  folder.write("spiece.model", pieces(t5.options));
  folder.write("tokenizer_config.json", R"({"tokenizer_class": "FunnyTokenizer"})");
  refused("spiece.model: of a tokenizer of class 'FunnyTokenizer', whose rules are not known");
  folder.write("tokenizer_config.json", R"({"tokenizer_class": "LlamaTokenizer"})");
  refused("spiece.model: is no BPE model");
  folder.write("vocab.json", R"({"a": 0, "b": 1, "ab": 2})");
  folder.write("merges.txt", "#version: 0.2\na b\nab\n");
  folder.write("tokenizer_config.json", "{}");
  refused("merges.txt:3: 'ab' is no merge");
  folder.write("merges.txt", "a c\n");
  refused("vocab.json: model.merges");
}

}  // namespace
}  // namespace fovea::text
