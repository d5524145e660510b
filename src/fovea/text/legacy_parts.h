#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "fovea/formats/json_writer.h"
#include "fovea/text/legacy_settings.h"
#include "fovea/text/legacy_tokenizer.h"
#include "fovea/text/sentencepiece_proto.h"

/// The parts of a tokenizer.json, written for tokenizers that have none.
namespace fovea::text::legacy {

constexpr std::uint64_t largest_file = 256u << 20;  // bytes
constexpr std::string_view space = "\xE2\x96\x81";  // U+2581

/// Throws Error(model): `kind` is none of the classes `known`.
[[noreturn]] void unknown_class(const std::filesystem::path& file, const std::string& kind,
                                const std::string& known);
bool among(const std::string& name, std::initializer_list<std::string_view> names);

/// Writes {"type": type, ...}; what comes after it is written by `more`.
template <class More>
void object(formats::JsonWriter& json, std::string_view type, const More& more) {
  json.begin_object().field("type", type);
  more();
  json.end_object();
}
inline void object(formats::JsonWriter& json, std::string_view type) {
  object(json, type, [] {});
}

void byte_level(formats::JsonWriter& json, bool add_prefix_space, bool trim_offsets, bool use_regex);
void metaspace(formats::JsonWriter& json, std::string_view scheme, bool split);

/// Tokens around a text ("$A") or two ("$A ... $B"), the second text of type `second_type`.
struct Template {
  std::vector<std::string> single, pair;
  int second_type = 0;
};

/// The vocabulary as far as it is needed here, and what it is made of.
struct Made {
  std::string model = {};  ///< JSON
  std::unordered_map<std::string, std::int64_t> ids = {};
  std::string file = {};
};

/// vocab.txt
Made word_piece(const std::filesystem::path& file, const std::string& unknown);
/// vocab.json and merges.txt
Made byte_level_pairs(const std::filesystem::path& directory);
/// A BPE model of SentencePiece, and pieces of a Unigram one.
Made sentencepiece_pairs(const SentencePieceProto& proto, std::string file);
using Scored = std::vector<std::pair<std::string, float>>;
Made unigram(const Scored& pieces, std::int64_t unknown, std::string file);

/// Puts bos and eos where the settings want them.
Template with_ends(const LegacySettings& settings, const std::string& bos, const std::string& eos,
                   bool bos_wanted);

void write_added(formats::JsonWriter& json, const std::vector<AddedPiece>& added);
void write_template(formats::JsonWriter& json, const Template& around, const Made& made,
                    const std::vector<AddedPiece>& added);

/// Finishes a tokenizer.json; `parts` writes normaliser, pre-tokenizer and decoder.
template <class Parts>
LegacyTokenizer assembled(const Made& made, const LegacySettings& settings,
                          const std::vector<AddedPiece>& more, const std::optional<Template>& around,
                          const Parts& parts) {
  const auto added = settings.added(more);
  formats::JsonWriter json(formats::JsonWriter::Layout::compact);
  json.begin_object().field("version", "1.0");
  write_added(json, added);
  parts(json);
  if (around) write_template(json, *around, made, added);
  std::string text = json.end_object().finish();
  text.pop_back();  // the model goes in as it is
  return {text + ",\"model\":" + made.model + "}", made.file, settings.specials()};
}

}  // namespace fovea::text::legacy
