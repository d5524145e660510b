// Malformed tokenizer.json: one clear line that names file and place.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>

#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/text/tokenizer_json.h"

namespace fovea::text {
namespace {

/// A tokenizer.json of a model, with what else there may be.
std::string file_of(const std::string& model, const std::string& rest = "") {
  return R"({"version":"1.0","added_tokens":[])" + rest + R"(,"model":)" + model + "}";
}

const std::string words = R"({"type":"WordLevel","unk_token":"u","vocab":{"u":0,"a":1,"b":2}})";

std::string byte_pairs(const std::string& vocabulary, const std::string& merges,
                       const std::string& rest = "") {
  return file_of(R"({"type":"BPE","vocab":{)" + vocabulary + R"(},"merges":[)" + merges + "]" + rest + "}");
}

std::string unigram(const std::string& vocabulary, const std::string& rest = R"(,"unk_id":0)") {
  return file_of(R"({"type":"Unigram","vocab":[)" + vocabulary + "]" + rest + "}");
}

std::string added(const std::string& fields) {
  return R"({"added_tokens":[{"id":3,"special":false,)" + fields + R"(}],"model":)" + words + "}";
}

std::string message_of(const std::string& file) {
  try {
    TokenizerJson::parse(file, "dir/tokenizer.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::model) << error.what();
    return error.what();
  }
  return "accepted";
}

/// One line that begins with the file and holds `place` and `what`.
void expect_refused(const std::string& file, std::string_view place, std::string_view what = "") {
  const std::string message = message_of(file);
  EXPECT_TRUE(message.starts_with("dir/tokenizer.json")) << message;
  EXPECT_NE(message.find(place), std::string::npos) << message;
  EXPECT_NE(message.find(what), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  EXPECT_LT(message.size(), 500u);
}

std::vector<std::int32_t> ids_of(const std::string& file, std::string_view text) {
  return TokenizerJson::parse(file, "t")->encode(text).ids;
}

TEST(TokenizerFile, AcceptsTheSmallestOne) {
  EXPECT_EQ(ids_of(file_of(words), "a"), std::vector<std::int32_t>{1});
  EXPECT_EQ(ids_of(file_of(words), "c"), std::vector<std::int32_t>{0});
  EXPECT_EQ(ids_of(file_of(words), ""), std::vector<std::int32_t>{});
}

TEST(TokenizerFile, UnknownPartsAreRefusedByName) {
  expect_refused(file_of(words, R"(,"normalizer":{"type":"Cyrillic"})"), "normalizer.type",
                 "a normalizer that");
  expect_refused(file_of(words, R"(,"pre_tokenizer":{"type":"UnicodeScripts"})"), "pre_tokenizer.type");
  expect_refused(file_of(words, R"(,"post_processor":{"type":"X"})"), "post_processor.type");
  expect_refused(file_of(words, R"(,"decoder":{"type":"X"})"), "decoder.type");
  expect_refused(file_of(R"({"type":"X","vocab":{}})"), "model.type", "BPE, WordPiece, Unigram or WordLevel");
  expect_refused(R"({"version":"2.0","model":)" + words + "}", "version");
  expect_refused("{}", "has no", "model");
}

TEST(TokenizerFile, B08_CutAtAHundredPlaces) {
  const auto path = std::filesystem::path(FOVEA_SOURCE_DIR) / "tests/text/tokenizers/llama3.json";
  const std::string whole = read_file(path, 1 << 20, Error::Kind::model);
  for (std::size_t i = 0; i < 100; ++i)
    expect_refused(whole.substr(0, i * (whole.size() - 1) / 99), "dir/tokenizer.json");
}

TEST(TokenizerFile, B08_AnyByteChangedGivesATokenizerOrAnError) {
  for (const char* kind : {"bert", "xlm-roberta"}) {
    const auto path =
        std::filesystem::path(FOVEA_SOURCE_DIR) / "tests/text/tokenizers" / (std::string(kind) + ".json");
    const std::string whole = read_file(path, 1 << 20, Error::Kind::model);
    for (std::size_t at = 0; at < whole.size(); at += 13) {
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ (1 << at % 7));
      try {
        const auto tokenizer = TokenizerJson::parse(changed, "t");
        tokenizer->decode(tokenizer->encode("The \u00e9t\u00e9 \u706f\u5854, [MASK]!").ids);
      } catch (const Error& error) {
        EXPECT_TRUE(error.kind() == Error::Kind::model || error.kind() == Error::Kind::data) << error.what();
      }
    }
  }
}

TEST(TokenizerFile, B09_IdsOfTheVocabulary) {
  const auto with = [](const std::string& vocabulary) {
    return file_of(R"({"type":"WordLevel","unk_token":"u","vocab":{"u":0,)" + vocabulary + "}}");
  };
  expect_refused(with(R"("a":1,"b":1)"), "model.vocab", "the id of 'a'");
  expect_refused(with(R"("a":1,"a":2)"), "\"a\"");
  expect_refused(with(R"("a":-1)"), "model.vocab", "-1");
  expect_refused(with(R"("a":2147483648)"), "model.vocab", "2147483648");
  expect_refused(with(R"("a":1000000)"), "model.vocab", "1000000");  // far more ids than pieces
  expect_refused(with(R"("a":1.5)"), "model.vocab");
  expect_refused(with(R"("a":null)"), "model.vocab");
  expect_refused(with("\"" + std::string(5000, 'a') + "\":1"), "model.vocab", "4096");
  EXPECT_EQ(ids_of(with(R"("a":7)"), "a"), std::vector<std::int32_t>{7});  // holes
  EXPECT_EQ(ids_of(with(R"("":1,"a":2)"), "a"), std::vector<std::int32_t>{2});
  const auto holes = TokenizerJson::parse(with(R"("a":7)"), "t");
  EXPECT_EQ(holes->size(), 8);
  EXPECT_EQ(holes->piece(3), "");
  EXPECT_EQ(holes->piece(-1), "");
  EXPECT_EQ(holes->piece(1 << 30), "");
  EXPECT_EQ(holes->decode(std::vector<std::int32_t>{3, 7, -5, 1 << 30}), "a");
}

TEST(TokenizerFile, B10_Merges) {
  const std::string vocabulary = R"("a":0,"b":1,"ab":2,"aba":3)";
  expect_refused(byte_pairs(vocabulary, R"("a c")"), "model.merges[0]", "'c' is no piece");
  expect_refused(byte_pairs(vocabulary, R"(["a","b"],["b","a"])"), "model.merges[1]", "'ba' is no piece");
  expect_refused(byte_pairs(vocabulary, R"("a b c")"), "model.merges[0]", "not of two pieces");
  expect_refused(byte_pairs(vocabulary, R"("ab")"), "model.merges[0]", "not of two pieces");
  expect_refused(byte_pairs(vocabulary, R"(["a"])"), "model.merges[0]", "not of two pieces");
  expect_refused(byte_pairs(vocabulary, R"([1,2])"), "model.merges[0]");
  expect_refused(byte_pairs(vocabulary, R"(["a","b"])", R"(,"continuing_subword_prefix":"##")"),
                 "model.merges[0]");
  // Twice, and such that each makes what the other needs.
  EXPECT_EQ(ids_of(byte_pairs(vocabulary, R"("#version: 0.2","a b","a b","ab a")"), "abab"),
            (std::vector<std::int32_t>{2, 2}));
  EXPECT_EQ(ids_of(byte_pairs(vocabulary, R"("a b","ab a")"), "aba"), std::vector<std::int32_t>{3});
}

TEST(TokenizerFile, B11_UnknownTokens) {
  expect_refused(file_of(R"({"type":"WordLevel","unk_token":"x","vocab":{"a":0}})"), "model.unk_token");
  expect_refused(file_of(R"({"type":"WordPiece","unk_token":"x","vocab":{"a":0}})"), "model.unk_token");
  expect_refused(file_of(R"({"type":"WordPiece","vocab":{"a":0}})"), "unk_token");
  expect_refused(unigram(R"(["a",-1])", R"(,"unk_id":1)"), "model.unk_id");
  expect_refused(unigram(R"(["a",-1])", R"(,"unk_id":-1)"), "model.unk_id");
  expect_refused(unigram("", R"(,"unk_id":0)"), "model.unk_id");
  for (const std::string& file :
       {unigram(R"(["a",-1])", ""), byte_pairs(R"("a":0)", "", R"(,"unk_token":"x")")}) {
    const auto tokenizer = TokenizerJson::parse(file, "t");
    EXPECT_EQ(tokenizer->encode("aa").ids.size(), 2u);
    EXPECT_THROW(tokenizer->encode("ab"), Error);
  }
  EXPECT_EQ(ids_of(byte_pairs(R"("a":0)", ""), "aba"),
            (std::vector<std::int32_t>{0, 0}));  // none is named: dropped
}

TEST(TokenizerFile, B12_Scores) {
  expect_refused(unigram(R"(["a",NaN])"), "");
  expect_refused(unigram(R"(["a",Infinity])"), "");
  expect_refused(unigram(R"(["a",1e999])"), "");
  expect_refused(unigram(R"(["a","-1"])"), "model.vocab[0]");
  expect_refused(unigram(R"(["a"])"), "model.vocab[0]");
  expect_refused(unigram(R"(["a",1,2])"), "model.vocab[0]");
  // All equal: the longest last piece, as the library has it. Positive ones are as good as negative ones.
  EXPECT_EQ(ids_of(unigram(R"(["u",0],["a",0],["b",0],["ab",0])"), "ab"), std::vector<std::int32_t>{3});
  EXPECT_EQ(ids_of(unigram(R"(["u",0],["a",3],["b",3],["ab",5])"), "ab"), (std::vector<std::int32_t>{1, 2}));
}

TEST(TokenizerFile, B13_RegularExpressionsThatTakeForever) {
  for (const char* pattern : {"(a+)+$", "(a|aa)+$", "(.*)*x"}) {
    const std::string split = std::string(R"(,"pre_tokenizer":{"type":"Split","pattern":{"Regex":")") +
                              pattern + R"("},"behavior":"Isolated","invert":false})";
    const auto tokenizer = TokenizerJson::parse(file_of(words, split), "t");
    const auto start = std::chrono::steady_clock::now();
    try {
      tokenizer->encode(std::string(40, 'a') + "!");
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Error::Kind::data);
      EXPECT_NE(std::string(error.what()).find("too long"), std::string::npos) << error.what();
    }
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20)) << pattern;
  }
}

TEST(TokenizerFile, B14_RegularExpressionsThatAreNone) {
  const auto with = [](const std::string& pattern) {
    return file_of(words, R"(,"normalizer":{"type":"Replace","content":"x","pattern":)" + pattern + "}");
  };
  expect_refused(with(R"({"Regex":"(a"})"), "normalizer.pattern.Regex", "'(a'");
  expect_refused(with(R"({"Regex":"[a"})"), "normalizer.pattern.Regex");
  expect_refused(with(R"({"Regex":"\\p{Nonsense}"})"), "normalizer.pattern.Regex");
  expect_refused(with(R"({"Regex":"[a-z&&[^b]]"})"), "normalizer.pattern.Regex", "set");
  expect_refused(with(R"({"Regex":"a{1,2}+"})"), "normalizer.pattern.Regex");
  expect_refused(with(R"({"Regex":"\\C"})"), "normalizer.pattern.Regex");  // half a character
  expect_refused(with(R"({"String":""})"), "normalizer.pattern.String");
  expect_refused(with(R"({"Glob":"*"})"), "normalizer.pattern");
  expect_refused(with("{\"Regex\":\"\xff\"}"), "");
}

TEST(TokenizerFile, B15_SequencesNestedTooDeep) {
  std::string nested;
  for (int i = 0; i < 10'000; ++i) nested += R"({"type":"Sequence","normalizers":[)";
  nested += R"({"type":"NFC"})";
  for (int i = 0; i < 10'000; ++i) nested += "]}";
  expect_refused(file_of(words, R"(,"normalizer":)" + nested), "");
}

TEST(TokenizerFile, B16_AddedTokens) {
  expect_refused(added(R"("content":"")"), "added_tokens[0].content", "empty");
  expect_refused(added("\"content\":\"" + std::string(1 << 20, 'x') + "\""), "added_tokens[0].content",
                 "4096");
  expect_refused(added(R"("content":"a\u0000")"), "added_tokens[0].content", "NUL");
  expect_refused(added(R"("content":5)"), "added_tokens[0].content");
  expect_refused(added(R"("content":"x","lstrip":"yes")"), "added_tokens[0].lstrip");
  expect_refused(R"({"added_tokens":[{"id":-1,"content":"x"}],"model":)" + words + "}", "added_tokens[0].id");
  // Overlapping: the leftmost, and of those the longest.
  const std::string overlapping = R"({"added_tokens":[{"id":3,"content":"ab"},{"id":4,"content":"abc"},)"
                                  R"({"id":5,"content":"cd"},{"id":6,"content":"abce"}],"model":)" +
                                  words + "}";
  EXPECT_EQ(ids_of(overlapping, "abcd"), (std::vector<std::int32_t>{4, 0}));
  EXPECT_EQ(ids_of(overlapping,
                   "abcd"
                   "cd"),
            (std::vector<std::int32_t>{4, 0, 5}));
}

TEST(TokenizerFile, B17_Templates) {
  const auto with = [](const std::string& single, const std::string& tokens) {
    return file_of(words, R"(,"post_processor":{"type":"TemplateProcessing","single":[)" + single +
                              R"(],"pair":[],"special_tokens":{)" + tokens + "}}");
  };
  expect_refused(with(R"({"SpecialToken":{"id":"[CLS]","type_id":0}})", ""), "post_processor.single[0]",
                 "special_tokens");
  expect_refused(with("", R"("[CLS]":{"id":"[CLS]","ids":[3],"tokens":["[CLS]"]})"), "ids[0]", "3");
  expect_refused(with("", R"("[CLS]":{"id":"[CLS]","ids":[-1],"tokens":["[CLS]"]})"), "ids[0]");
  expect_refused(with(R"({"Sequence":{"id":"B","type_id":0}})", ""), "post_processor.single[0]");
  expect_refused(with(R"({"Nothing":{}})", ""), "post_processor.single[0]");
  expect_refused(file_of(words, R"(,"post_processor":{"type":"BertProcessing","sep":["x",9],"cls":["y",0]})"),
                 "sep[1]");
  expect_refused(file_of(words, R"(,"padding":{"strategy":"BatchLongest","pad_id":77})"), "padding.pad_id");
  expect_refused(file_of(words, R"(,"padding":{"strategy":"Shortest"})"), "padding.strategy");
  expect_refused(file_of(words, R"(,"truncation":{"max_length":-1})"), "truncation.max_length");
}

TEST(TokenizerFile, B18_BytePieces) {
  const std::string vocabulary = R"("a":0,"<0x-1>":1,"<0xZZ>":2,"<0x100>":3,"<0x62>":4,"u":5)";
  const std::string rest = R"(,"byte_fallback":true,"unk_token":"u")";
  const std::string file =
      file_of(R"({"type":"BPE","vocab":{)" + vocabulary + R"(},"merges":[])" + rest + "}",
              R"(,"decoder":{"type":"ByteFallback"})");
  EXPECT_EQ(ids_of(file, "abc"), (std::vector<std::int32_t>{0, 4, 5}));
  EXPECT_EQ(TokenizerJson::parse(file, "t")->decode(std::vector<std::int32_t>{1, 2, 3, 4}),
            "<0x-1><0xZZ><0x100>b");
}

TEST(TokenizerFile, CharacterMaps) {
  const auto with = [](const std::string& map) {
    return file_of(words, R"(,"normalizer":{"type":"Precompiled","precompiled_charsmap":")" + map + "\"}");
  };
  expect_refused(with("abc"), "normalizer.precompiled_charsmap", "base64");
  expect_refused(with("ab!="), "normalizer.precompiled_charsmap", "base64");
  expect_refused(with("/////w=="), "normalizer.precompiled_charsmap", "trie");
  EXPECT_EQ(ids_of(with(""), "a"), std::vector<std::int32_t>{1});
}

TEST(TokenizerFile, LongLinesTakeTimeThatGrowsAsTheyDo) {
  for (const char* kind : {"gpt2", "llama2", "t5", "bert"}) {
    const auto path =
        std::filesystem::path(FOVEA_SOURCE_DIR) / "tests/text/tokenizers" / (std::string(kind) + ".json");
    const auto tokenizer = TokenizerJson::parse(read_file(path, 1 << 20, Error::Kind::model), "t");
    for (const std::string unit : {"x", "ab", " ", "e\u0301", "\u4e2d", "!?", "the "}) {
      std::string line;
      while (line.size() < 1'000'000) line += unit;
      const auto start = std::chrono::steady_clock::now();
      tokenizer->encode(line);
      EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20)) << kind << " " << unit;
    }
  }
}

}  // namespace
}  // namespace fovea::text
