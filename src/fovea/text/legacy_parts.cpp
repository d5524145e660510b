#include "fovea/text/legacy_parts.h"

#include <algorithm>
#include <set>

#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/text/utf8.h"

namespace fovea::text::legacy {

using formats::Json;
using formats::JsonWriter;
using Path = std::filesystem::path;

namespace {

/// Tokens around a text ("$A") or two ("$A ... $B"), the second text of type `second_type`.
void sequence(JsonWriter& json, std::string_view key, const std::vector<std::string>& parts,
              int second_type) {
  json.key(key).begin_array();
  int type = 0;
  for (const std::string& part : parts) {
    const bool is_text = part == "$A" || part == "$B";
    if (part == "$B") type = second_type;
    json.begin_object().key(is_text ? "Sequence" : "SpecialToken").begin_object();
    json.field("id", is_text ? part.substr(1) : part).field("type_id", type).end_object().end_object();
  }
  json.end_array();
}

template <class Members>
void write_vocabulary(JsonWriter& json, const Members& ids) {
  json.key("vocab").begin_object();
  for (const auto& [piece, id] : ids) json.field(piece, id);
  json.end_object();
}

/// The lines of a text as Python reads them.
std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of("\r\n"), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end);
    text.remove_prefix(text.starts_with("\r\n") ? 2 : !text.empty());
  }
  return lines;
}

using Merges = std::vector<std::pair<std::string, std::string>>;

std::string byte_pairs(const Made& made, const Merges& merges, bool of_sentencepiece) {
  JsonWriter json(JsonWriter::Layout::compact);
  object(json, "BPE", [&] {
    json.field("fuse_unk", of_sentencepiece).field("byte_fallback", of_sentencepiece);
    write_vocabulary(json, made.ids);
    json.key("merges").begin_array();
    for (const auto& [left, right] : merges) json.begin_array().value(left).value(right).end_array();
    json.end_array();
  });
  return json.finish();
}

/// The pieces of a model that two of its pieces make, in the order of their ids; of one piece, short
/// beginnings first.
Merges merges_of(const SentencePieceProto& proto, const Made& made) {
  Merges merges;
  for (const auto& piece : proto.pieces)
    for (std::size_t at = 1; at < piece.text.size(); ++at) {
      if ((static_cast<unsigned char>(piece.text[at]) & 0xC0) == 0x80) continue;
      std::string left(piece.text.substr(0, at)), right(piece.text.substr(at));
      if (made.ids.contains(left) && made.ids.contains(right))
        merges.emplace_back(std::move(left), std::move(right));
    }
  return merges;
}

// Ids of pieces in their order; of equal ones the first counts.
Made numbered(std::string file, std::size_t count, const auto& piece) {
  Made made{.file = std::move(file)};
  for (std::size_t i = 0; i < count; ++i) made.ids.emplace(piece(i), static_cast<std::int64_t>(i));
  return made;
}

}  // namespace

bool among(const std::string& name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

[[noreturn]] void unknown_class(const Path& file, const std::string& kind, const std::string& known) {
  throw Error(Error::Kind::model, shown(file),
              "of a tokenizer of class '" + printable(kind) + "', whose rules are not known",
              "save it as tokenizer.json with Transformers (save_pretrained); known are " + known);
}

void byte_level(JsonWriter& json, bool add_prefix_space, bool trim_offsets, bool use_regex) {
  object(json, "ByteLevel", [&] {
    json.field("add_prefix_space", add_prefix_space)
        .field("trim_offsets", trim_offsets)
        .field("use_regex", use_regex);
  });
}

void metaspace(JsonWriter& json, std::string_view scheme, bool split) {
  object(json, "Metaspace",
         [&] { json.field("replacement", space).field("prepend_scheme", scheme).field("split", split); });
}

void write_template(JsonWriter& json, const Template& around, const Made& made,
                    const std::vector<AddedPiece>& added) {
  json.key("post_processor");
  object(json, "TemplateProcessing", [&] {
    sequence(json, "single", around.single, 0);
    sequence(json, "pair", around.pair, around.second_type);
    json.key("special_tokens").begin_object();
    std::set<std::string> written;
    for (const auto& parts : {around.single, around.pair})
      for (const std::string& part : parts) {
        if (part.starts_with('$') || !written.insert(part).second) continue;
        // As AddedTokens numbers them: those of the vocabulary have their ids, others follow.
        auto id = static_cast<std::int64_t>(made.ids.size());
        if (const auto known = made.ids.find(part); known != made.ids.end()) {
          id = known->second;
        } else {
          for (const AddedPiece& piece : added) {
            if (piece.content == part) break;
            id += !made.ids.contains(piece.content);
          }
        }
        json.key(part).begin_object().field("id", part);
        json.key("ids").begin_array().value(id).end_array();
        json.key("tokens").begin_array().value(part).end_array().end_object();
      }
    json.end_object();
  });
}

void write_added(JsonWriter& json, const std::vector<AddedPiece>& added) {
  json.key("added_tokens").begin_array();
  std::int64_t id = 0;
  for (const AddedPiece& piece : added) {
    json.begin_object()
        .field("id", id++)
        .field("content", piece.content)
        .field("single_word", piece.single_word);
    json.field("lstrip", piece.lstrip).field("rstrip", piece.rstrip).field("normalized", piece.normalized);
    json.field("special", piece.special).end_object();
  }
  json.end_array();
}

Made word_piece(const Path& file, const std::string& unknown) {
  Made made{.file = shown(file)};
  std::int64_t id = 0;
  const std::string text = repair_utf8(read_file(file, largest_file, Error::Kind::model)).text;
  for (const std::string_view line : lines_of(text)) {
    if (!line.empty()) made.ids.insert_or_assign(std::string(line), id);  // of equal lines the last counts
    ++id;
  }
  JsonWriter json(JsonWriter::Layout::compact);
  object(json, "WordPiece", [&] {
    json.field("unk_token", unknown)
        .field("continuing_subword_prefix", "##")
        .field("max_input_chars_per_word", 100);
    write_vocabulary(json, made.ids);
  });
  made.model = json.finish();
  return made;
}

Made byte_level_pairs(const Path& directory) {
  const Path file = directory / "vocab.json", merges_file = directory / "merges.txt";
  Made made{.file = shown(file)};
  const Json vocabulary = formats::read_json(file, Error::Kind::model, formats::JsonLimits::tokenizer());
  for (const auto& [piece, id] : vocabulary.members()) made.ids.emplace(piece, id.integer(0, 1 << 30));
  Merges merges;
  const std::string text = repair_utf8(read_file(merges_file, largest_file, Error::Kind::model)).text;
  int number = 0;
  for (const std::string_view line : lines_of(text)) {
    ++number;
    if (line.empty() || line.starts_with("#version")) continue;
    const std::size_t blank = line.find(' ');
    if (blank == std::string_view::npos || line.find(' ', blank + 1) != std::string_view::npos)
      throw Error(Error::Kind::model, shown(merges_file) + ":" + std::to_string(number),
                  "'" + printable(line, 60) + "' is no merge", "a line is two pieces with a space between");
    merges.emplace_back(line.substr(0, blank), line.substr(blank + 1));
  }
  made.model = byte_pairs(made, merges, false);
  return made;
}

Made sentencepiece_pairs(const SentencePieceProto& proto, std::string file) {
  Made made =
      numbered(std::move(file), proto.pieces.size(), [&](std::size_t i) { return proto.pieces[i].text; });
  made.model = byte_pairs(made, merges_of(proto, made), true);
  return made;
}

Made unigram(const Scored& pieces, std::int64_t unknown, std::string file) {
  Made made = numbered(std::move(file), pieces.size(), [&](std::size_t i) { return pieces[i].first; });
  JsonWriter json(JsonWriter::Layout::compact);
  object(json, "Unigram", [&] {
    json.field("unk_id", unknown).field("byte_fallback", false).key("vocab").begin_array();
    for (const auto& [piece, score] : pieces)
      json.begin_array().value(piece).value(static_cast<double>(score)).end_array();
    json.end_array();
  });
  made.model = json.finish();
  return made;
}

/// Puts bos and eos where the settings want them.
Template with_ends(const LegacySettings& settings, const std::string& bos, const std::string& eos,
                   bool bos_wanted) {
  const bool add_bos = settings.flag("add_bos_token", bos_wanted) && !bos.empty();
  const bool add_eos = settings.flag("add_eos_token", false) && !eos.empty();
  Template out{{"$A"}, {"$A"}, 1};
  if (add_bos) out.single = out.pair = {bos, "$A"};
  if (add_eos) out.single.push_back(eos);
  if (add_eos) out.pair.push_back(eos);
  out.pair.push_back("$B");
  if (add_bos) out.pair.insert(out.pair.end() - 1, bos);
  if (add_eos) out.pair.push_back(eos);
  return out;
}

}  // namespace fovea::text::legacy
