#include "fovea/text/tokenizer_trainer.h"

#include <algorithm>
#include <array>
#include <map>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/formats/json.h"
#include "fovea/formats/json_writer.h"
#include "fovea/text/pipeline/normaliser.h"
#include "fovea/text/pipeline/pre_tokeniser.h"
#include "fovea/text/word_piece_trainer.h"

namespace fovea::text {
namespace {

using Kind = TokenizerTraining::Kind;

constexpr std::array<std::string_view, 5> specials{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
constexpr int unk = 1, cls = 2, sep = 3;

// Words with what treebanks cut off their ends: "is|n't", "it|'s"; all else that is no space stands alone.
constexpr auto word_pattern = R"(\w+(?=n't)|n't|'(?:s|re|ve|ll|d|m)(?!\w)|\w+|[^\w\s])";
constexpr auto character_pattern = R"(\S)";

void write_pattern(formats::JsonWriter& json, const char* pattern) {
  json.begin_object()
      .field("type", "Split")
      .key("pattern")
      .begin_object()
      .field("Regex", pattern)
      .end_object();
  json.field("behavior", "Removed").field("invert", true).end_object();
}

// What happens to a text before its words are looked up.
void write_cutting(formats::JsonWriter& json, const TokenizerTraining& options) {
  json.key("normalizer").begin_object().field("type", "BertNormalizer").field("clean_text", true);
  json.field("handle_chinese_chars", true).key("strip_accents").null();
  json.field("lowercase", options.lowercase).end_object();
  json.key("pre_tokenizer");
  if (options.kind == Kind::word_piece)
    json.begin_object().field("type", "BertPreTokenizer").end_object();
  else
    write_pattern(json, options.kind == Kind::words ? word_pattern : character_pattern);
}

void write_template(formats::JsonWriter& json) {
  const auto token = [&](int id, int type) {
    json.begin_object().key("SpecialToken").begin_object();
    json.field("id", specials.at(static_cast<std::size_t>(id)))
        .field("type_id", type)
        .end_object()
        .end_object();
  };
  const auto text = [&](const char* name, int type) {
    json.begin_object().key("Sequence").begin_object();
    json.field("id", name).field("type_id", type).end_object().end_object();
  };
  json.key("post_processor").begin_object().field("type", "TemplateProcessing");
  json.key("single").begin_array();
  token(cls, 0), text("A", 0), token(sep, 0);
  json.end_array().key("pair").begin_array();
  token(cls, 0), text("A", 0), token(sep, 0), text("B", 1), token(sep, 1);
  json.end_array().key("special_tokens").begin_object();
  for (const int id : {cls, sep}) {
    const auto name = specials.at(static_cast<std::size_t>(id));
    json.key(name).begin_object().field("id", name);
    json.key("ids").begin_array().value(id).end_array();
    json.key("tokens").begin_array().value(name).end_array().end_object();
  }
  json.end_object().end_object();
}

void write_added(formats::JsonWriter& json) {
  json.key("added_tokens").begin_array();
  for (std::size_t id = 0; id < specials.size(); ++id) {
    json.begin_object().field("id", id).field("content", specials[id]);
    for (const char* no : {"single_word", "lstrip", "rstrip", "normalized"}) json.field(no, false);
    json.field("special", true).end_object();
  }
  json.end_array();
}

void write_model(formats::JsonWriter& json, Kind kind, const std::vector<std::string>& pieces) {
  json.key("model").begin_object().field("type", kind == Kind::word_piece ? "WordPiece" : "WordLevel");
  json.field("unk_token", specials[unk]);
  if (kind == Kind::word_piece)
    json.field("continuing_subword_prefix", "##").field("max_input_chars_per_word", 100);
  json.key("vocab").begin_object();
  for (std::size_t id = 0; id < specials.size(); ++id) json.field(specials[id], id);
  for (std::size_t i = 0; i < pieces.size(); ++i) json.field(pieces[i], specials.size() + i);
  json.end_object().end_object();
}

// The words of the lines as the tokenizer will cut them, the most frequent first.
std::vector<WordCount> count_words(const TokenizerTraining& options, std::span<const std::string> lines) {
  formats::JsonWriter writer;
  writer.begin_object();
  write_cutting(writer, options);
  const auto json = formats::Json::parse(writer.end_object().finish(), {"tokenizer", Error::Kind::bug});
  const auto normaliser = pipeline::parse_normaliser(json.at("normalizer"));
  const auto pre_tokeniser = pipeline::parse_pre_tokeniser(json.at("pre_tokenizer"));
  std::map<std::string, std::int64_t, std::less<>> counts;
  for (const auto& line : lines) {
    pipeline::SplitText text{pipeline::AlignedText(line, pre_tokeniser->needs_origins()), {}};
    normaliser->normalise(text.text);
    if (text.text.size() == 0) continue;
    text.splits.push_back({0, static_cast<std::uint32_t>(text.text.size())});
    pre_tokeniser->split(text);
    for (const auto& split : text.splits) {
      const auto word = text.of(split);
      const auto at = counts.find(word);
      if (at == counts.end())
        counts.emplace(word, 1);
      else
        ++at->second;
    }
  }
  for (const auto special : specials) counts.erase(std::string(special));
  std::vector<WordCount> words(counts.begin(), counts.end());
  std::stable_sort(words.begin(), words.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  return words;
}

std::vector<std::string> choose_pieces(const TokenizerTraining& options,
                                       const std::vector<WordCount>& words) {
  const auto room = static_cast<std::size_t>(options.size) - specials.size();
  if (options.kind == Kind::word_piece) return learn_word_pieces(words, room);
  std::vector<std::string> pieces;
  for (const auto& [word, count] : words)
    if (count >= options.least_count && pieces.size() < room) pieces.push_back(word);
  return pieces;
}

}  // namespace

std::string train_tokenizer_json(const TokenizerTraining& options, std::span<const std::string> lines) {
  if (options.size <= std::ssize(specials))
    throw Error(Error::Kind::usage, "tokenizer",
                "a vocabulary of " + std::to_string(options.size) + " has no room beside the special tokens",
                "use at least 8");
  const auto pieces = choose_pieces(options, count_words(options, lines));
  if (pieces.empty())
    throw Error(Error::Kind::data, "training data", "has no word that a vocabulary could be made of");
  formats::JsonWriter json;
  json.begin_object().field("version", "1.0").key("truncation").null().key("padding").null();
  write_added(json);
  write_cutting(json, options);
  write_template(json);
  json.key("decoder");
  if (options.kind == Kind::word_piece)
    json.begin_object().field("type", "WordPiece").field("prefix", "##").field("cleanup", true).end_object();
  else
    json.null();
  write_model(json, options.kind, pieces);
  return json.end_object().finish();
}

std::string tokenizer_config_json(std::int64_t max_length) {
  formats::JsonWriter json;
  json.begin_object().field("tokenizer_class", "PreTrainedTokenizerFast");
  json.field("model_max_length", max_length);
  json.key("model_input_names").begin_array();
  for (const char* name : {"input_ids", "token_type_ids", "attention_mask"}) json.value(name);
  json.end_array();
  json.field("pad_token", specials[0]).field("unk_token", specials[1]).field("cls_token", specials[2]);
  json.field("sep_token", specials[3]).field("mask_token", specials[4]);
  return json.end_object().finish();
}

}  // namespace fovea::text
