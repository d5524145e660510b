#include "fovea/text/legacy_tokenizer.h"

#include "fovea/base/error.h"
#include "fovea/text/legacy_parts.h"
#include "fovea/text/legacy_sentencepiece.h"

namespace fovea::text {
namespace {

using namespace legacy;
using formats::JsonWriter;
using Path = std::filesystem::path;

constexpr auto qwen2_words =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

bool is_there(const Path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

LegacyTokenizer bert(const Path& file, LegacySettings& settings) {
  const std::string unknown = settings.special("unk_token", "[UNK]"),
                    sep = settings.special("sep_token", "[SEP]");
  settings.special("pad_token", "[PAD]");
  const std::string cls = settings.special("cls_token", "[CLS]");
  settings.special("mask_token", "[MASK]");
  const Template around{{cls, "$A", sep}, {cls, "$A", sep, "$B", sep}, 1};
  return assembled(word_piece(file, unknown), settings, {}, around, [&](JsonWriter& json) {
    json.key("normalizer");
    object(json, "BertNormalizer", [&] {
      json.field("clean_text", true);
      json.field("handle_chinese_chars", settings.flag("tokenize_chinese_chars", true));
      if (settings.says("strip_accents")) json.field("strip_accents", settings.flag("strip_accents", false));
      json.field("lowercase", settings.flag("do_lower_case", true));
    });
    object(json.key("pre_tokenizer"), "BertPreTokenizer");
    object(json.key("decoder"), "WordPiece", [&] { json.field("prefix", "##").field("cleanup", true); });
  });
}

LegacyTokenizer gpt2(const Path& directory, LegacySettings& settings) {
  const std::string end = "<|endoftext|>", bos = settings.special("bos_token", end),
                    eos = settings.special("eos_token", end);
  settings.special("unk_token", end);
  settings.special("pad_token", "");
  const bool prefix = settings.flag("add_prefix_space", false);
  return assembled(byte_level_pairs(directory), settings, {}, with_ends(settings, bos, eos, false),
                   [&](JsonWriter& json) {
                     byte_level(json.key("pre_tokenizer"), prefix, true, true);
                     byte_level(json.key("decoder"), true, true, true);
                   });
}

LegacyTokenizer roberta(const Path& directory, LegacySettings& settings) {
  settings.special("bos_token", "<s>");
  settings.special("eos_token", "</s>");
  settings.special("unk_token", "<unk>");
  const std::string sep = settings.special("sep_token", "</s>");
  settings.special("pad_token", "<pad>");
  const std::string cls = settings.special("cls_token", "<s>");
  settings.special("mask_token", "<mask>", true);
  const Template around{{cls, "$A", sep}, {cls, "$A", sep, sep, "$B", sep}, 0};
  const bool prefix = settings.flag("add_prefix_space", false);
  return assembled(byte_level_pairs(directory), settings, {}, around, [&](JsonWriter& json) {
    byte_level(json.key("pre_tokenizer"), prefix, true, true);
    byte_level(json.key("decoder"), true, true, true);
  });
}

LegacyTokenizer qwen2(const Path& directory, LegacySettings& settings) {
  const std::string end = "<|endoftext|>", bos = settings.special("bos_token", ""),
                    eos = settings.special("eos_token", end);
  settings.special("unk_token", end);
  settings.special("pad_token", end);
  return assembled(byte_level_pairs(directory), settings, {}, with_ends(settings, bos, eos, false),
                   [&](JsonWriter& json) {
                     object(json.key("normalizer"), "NFC");
                     object(json.key("pre_tokenizer"), "Sequence", [&] {
                       json.key("pretokenizers").begin_array();
                       object(json, "Split", [&] {
                         json.key("pattern").begin_object().field("Regex", qwen2_words).end_object();
                         json.field("behavior", "Isolated").field("invert", false);
                       });
                       byte_level(json, settings.flag("add_prefix_space", false), true, false);
                       json.end_array();
                     });
                     byte_level(json.key("decoder"), true, true, true);
                   });
}

LegacyTokenizer of_merges(const Path& directory, LegacySettings& settings) {
  const std::string& kind = settings.kind();
  if (kind.empty() || among(kind, {"GPT2Tokenizer", "gpt2", "gpt_neo", "gptj", "opt"}))
    return gpt2(directory, settings);
  if (among(kind, {"RobertaTokenizer", "BartTokenizer", "LongformerTokenizer", "LEDTokenizer",
                   "BlenderbotTokenizer", "roberta", "bart", "longformer", "led"}))
    return roberta(directory, settings);
  if (among(kind, {"Qwen2Tokenizer", "qwen2", "qwen3"})) return qwen2(directory, settings);
  unknown_class(directory / "vocab.json", kind,
                "GPT2Tokenizer, RobertaTokenizer, BartTokenizer and Qwen2Tokenizer");
}

}  // namespace

std::optional<LegacyTokenizer> read_legacy_tokenizer(const Path& directory) {
  const bool has_merges = is_there(directory / "vocab.json") && is_there(directory / "merges.txt");
  if (has_merges || is_there(directory / "vocab.txt")) {
    LegacySettings settings(directory);
    return has_merges ? of_merges(directory, settings) : bert(directory / "vocab.txt", settings);
  }
  for (const char* name : {"spiece.model", "sentencepiece.bpe.model", "tokenizer.model", "spm.model"})
    if (is_there(directory / name)) {
      LegacySettings settings(directory);
      return of_sentencepiece(directory / name, settings);
    }
  return std::nullopt;
}

}  // namespace fovea::text
