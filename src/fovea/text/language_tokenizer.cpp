#include "fovea/text/language_tokenizer.h"

#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/formats/json.h"
#include "fovea/formats/json_writer.h"
#include "fovea/text/byte_pair_trainer.h"
#include "fovea/text/pipeline/byte_alphabet.h"
#include "fovea/text/pipeline/pre_tokeniser.h"
#include "fovea/text/utf8.h"

namespace fovea::text {
namespace {

using formats::JsonWriter;
using Kind = LanguageTokenizerTraining::Kind;

constexpr std::string_view unknown = "<unk>";
// As openai/gpt-2, src/encoder.py, cuts words: a space in front of a word is part of it.
constexpr auto byte_level =
    R"({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true})";

/// Pieces in the order of their ids, and the merges that make the longer ones.
struct Pieces {
  std::vector<std::string> all;
  std::vector<std::pair<std::int32_t, std::int32_t>> merges;
};

Pieces characters_of(const LanguageTokenizerTraining& options, std::span<const std::string> documents) {
  std::map<char32_t, std::int64_t> counts;
  for (const std::string& document : documents)
    for (std::string_view rest = document; !rest.empty();) {
      const Decoded c = decode_utf8(rest);
      ++counts[c.code_point];
      rest.remove_prefix(c.length);
    }
  Pieces pieces{{std::string(end_of_text), std::string(unknown)}, {}};
  for (const auto& [character, count] : counts)
    if (count >= options.least_count) append_utf8(pieces.all.emplace_back(), character);
  if (pieces.all.size() == 2)
    throw Error(Error::Kind::data, "training data", "has no character that a vocabulary could be made of",
                "lower tokenizer.least_count");
  return pieces;
}

/// The words of the documents, as symbols that are bytes.
std::vector<SymbolWord> words_of(std::span<const std::string> documents) {
  const auto pre_tokeniser =
      pipeline::parse_pre_tokeniser(formats::Json::parse(byte_level, {"tokenizer", Error::Kind::bug}));
  std::unordered_map<std::string, std::int64_t> counts;
  for (const std::string& document : documents) {
    pipeline::SplitText text{pipeline::AlignedText(document, pre_tokeniser->needs_origins()), {}};
    text.splits.push_back({0, static_cast<std::uint32_t>(text.text.size())});
    pre_tokeniser->split(text);
    for (const auto& split : text.splits) ++counts[std::string(text.of(split))];
  }
  const std::map<std::string, std::int64_t> in_order(counts.begin(), counts.end());
  std::vector<SymbolWord> words;
  for (const auto& [word, count] : in_order) {
    SymbolWord& symbols = words.emplace_back();
    symbols.count = count;
    for (std::string_view rest = word; !rest.empty();) {
      const Decoded c = decode_utf8(rest);
      symbols.symbols.push_back(pipeline::byte_of_character(c.code_point));
      rest.remove_prefix(c.length);
    }
  }
  return words;
}

Pieces byte_pairs_of(const LanguageTokenizerTraining& options, std::span<const std::string> documents) {
  constexpr std::int32_t bytes = 256;
  if (options.size <= bytes)
    throw Error(Error::Kind::usage, "tokenizer.vocabulary",
                std::to_string(options.size) + " has no room for 256 bytes and the end of text",
                "use at least 257");
  auto words = words_of(documents);
  if (words.empty())
    throw Error(Error::Kind::data, "training data", "has no word that a vocabulary could be made of");
  Pieces pieces{{std::string(end_of_text)}, {}};
  for (int byte = 0; byte < bytes; ++byte)
    pieces.all.emplace_back(pipeline::character_of_byte(static_cast<unsigned char>(byte)));
  const auto room = static_cast<std::size_t>(options.size - bytes - 1);
  for (const auto& [left, right] : learn_byte_pairs(std::move(words), bytes, room)) {
    pieces.merges.emplace_back(left + 1, right + 1);  // after the end of text
    pieces.all.push_back(pieces.all.at(static_cast<std::size_t>(left) + 1) +
                         pieces.all.at(static_cast<std::size_t>(right) + 1));
  }
  return pieces;
}

void write_added(JsonWriter& json, std::span<const std::string_view> specials) {
  json.key("added_tokens").begin_array();
  for (std::size_t id = 0; id < specials.size(); ++id) {
    json.begin_object().field("id", id).field("content", specials[id]);
    for (const char* no : {"single_word", "lstrip", "rstrip", "normalized"}) json.field(no, false);
    json.field("special", true).end_object();
  }
  json.end_array();
}

void write_byte_level(JsonWriter& json, const char* key) {
  json.key(key).begin_object().field("type", "ByteLevel").field("add_prefix_space", false);
  json.field("trim_offsets", true).field("use_regex", true).end_object();
}

// end_of_text, then the text.
void write_beginning(JsonWriter& json) {
  const auto item = [&](const char* kind, std::string_view id, int type) {
    json.begin_object().key(kind).begin_object().field("id", id).field("type_id", type);
    json.end_object().end_object();
  };
  json.key("post_processor").begin_object().field("type", "TemplateProcessing");
  json.key("single").begin_array();
  item("SpecialToken", end_of_text, 0), item("Sequence", "A", 0);
  json.end_array().key("pair").begin_array();
  item("SpecialToken", end_of_text, 0), item("Sequence", "A", 0);
  item("SpecialToken", end_of_text, 1), item("Sequence", "B", 1);
  json.end_array().key("special_tokens").begin_object().key(end_of_text).begin_object();
  json.field("id", end_of_text).key("ids").begin_array().value(0).end_array();
  json.key("tokens").begin_array().value(end_of_text).end_array();
  json.end_object().end_object().end_object();
}

void write_model(JsonWriter& json, Kind kind, const Pieces& pieces) {
  json.key("model").begin_object().field("type", "BPE").key("dropout").null().key("unk_token");
  kind == Kind::characters ? json.value(unknown) : json.null();
  for (const char* none : {"continuing_subword_prefix", "end_of_word_suffix"}) json.key(none).null();
  for (const char* no : {"fuse_unk", "byte_fallback", "ignore_merges"}) json.field(no, false);
  json.key("vocab").begin_object();
  for (std::size_t id = 0; id < pieces.all.size(); ++id) json.field(pieces.all[id], id);
  json.end_object().key("merges").begin_array();
  for (const auto& [left, right] : pieces.merges) {
    json.begin_array().value(pieces.all[static_cast<std::size_t>(left)]);
    json.value(pieces.all[static_cast<std::size_t>(right)]).end_array();
  }
  json.end_array().end_object();
}

}  // namespace

std::string language_tokenizer_json(const LanguageTokenizerTraining& options,
                                    std::span<const std::string> documents) {
  const bool characters = options.kind == Kind::characters;
  const Pieces pieces = characters ? characters_of(options, documents) : byte_pairs_of(options, documents);
  constexpr std::string_view specials[] = {end_of_text, unknown};
  JsonWriter json;
  json.begin_object().field("version", "1.0").key("truncation").null().key("padding").null();
  write_added(json, std::span(specials).first(characters ? 2 : 1));
  json.key("normalizer").null();
  if (characters) {
    json.key("pre_tokenizer").null();
  } else {
    write_byte_level(json, "pre_tokenizer");
  }
  if (options.begins) {
    write_beginning(json);
  } else {
    json.key("post_processor").null();
  }
  if (characters) {
    json.key("decoder").begin_object().field("type", "Fuse").end_object();
  } else {
    write_byte_level(json, "decoder");
  }
  write_model(json, options.kind, pieces);
  return json.end_object().finish();
}

std::string language_tokenizer_config_json(Kind kind, std::int64_t max_length) {
  JsonWriter json;
  json.begin_object().field("tokenizer_class", "PreTrainedTokenizerFast");
  json.field("model_max_length", max_length).field("clean_up_tokenization_spaces", false);
  json.field("bos_token", end_of_text).field("eos_token", end_of_text);
  if (kind == Kind::characters) json.field("unk_token", unknown);
  return json.end_object().finish();
}

}  // namespace fovea::text
