#include "fovea/text/pipeline/post_processor.h"

#include <algorithm>
#include <map>

#include "fovea/text/pipeline/characters.h"
#include "fovea/text/pipeline/known_utf8.h"
#include "fovea/text/utf8.h"

namespace fovea::text::pipeline {
namespace {

std::int32_t id_of(const formats::Json& json, std::int32_t ids_end) {
  return static_cast<std::int32_t>(json.integer(0, std::int64_t{ids_end} - 1));
}

Encoding specials(std::span<const std::int32_t> ids, std::int32_t type) {
  Encoding out;
  for (const std::int32_t id : ids) out.append(id, {}, -1, type, -1, true);
  return out;
}

/// White space, or U+0120: a space in the byte alphabet.
bool is_blank(char32_t c) { return c == 0x120 || is_space(c); }

struct Blanks {
  std::uint32_t leading = 0, trailing = 0;  // in characters
};

Blanks blanks_of(std::string_view token) {
  Blanks out;
  bool all = true;
  while (!token.empty()) {
    const Decoded c = character_at(token, 0);
    const bool blank = is_blank(c.code_point);
    if (!blank) all = false;
    if (all) ++out.leading;
    out.trailing = blank ? out.trailing + 1 : 0;
    token.remove_prefix(c.length);
  }
  return out;
}

/// Takes the spaces at the ends of tokens out of their ranges; one that was put before a text was never in.
void trim_ranges(Encoding& encoding, bool added_space, const Texts& texts) {
  for (std::size_t i = 0; i < encoding.size(); ++i) {
    if (encoding.sequences[i] < 0) continue;
    TextRange& range = encoding.ranges[i];
    const std::int32_t id = encoding.ids[i];
    const std::string_view original = texts.originals[static_cast<std::size_t>(encoding.sequences[i])];
    const std::string_view token =
        texts.added.has(id) ? original.substr(range.begin, range.end - range.begin) : texts.pieces.piece(id);
    Blanks blanks = blanks_of(token);
    if ((i == 0 || range.begin == 0) && added_space && blanks.leading == 1) blanks.leading = 0;
    for (; blanks.leading > 0 && range.begin < range.end; --blanks.leading)
      range.begin += decode_utf8(original.substr(range.begin)).length;
    for (; blanks.trailing > 0 && range.begin < range.end; --blanks.trailing)
      while (--range.end > range.begin && (static_cast<unsigned char>(original[range.end]) & 0xC0) == 0x80) {
      }
  }
  for (Encoding& window : encoding.overflow) trim_ranges(window, added_space, texts);
}

void trim_all(std::vector<Encoding>& parts, bool added_space, const Texts& texts) {
  for (Encoding& part : parts) trim_ranges(part, added_space, texts);
}

/// Puts `before` and `after` around an encoding and each window of its overflow.
void surround(Encoding& encoding, std::span<const std::int32_t> before, std::span<const std::int32_t> after,
              std::int32_t type) {
  const auto around = [&](const Encoding& inner) {
    Encoding out = specials(before, type);
    out.append(inner);
    out.append(specials(after, type));
    out.overflow.clear();
    return out;
  };
  Encoding out = around(encoding);
  for (const Encoding& window : encoding.overflow) out.overflow.push_back(around(window));
  encoding = std::move(out);
}

/// [CLS] A [SEP], and B [SEP] after it.
class BertProcessing final : public PostProcessor {
 public:
  BertProcessing(const formats::Json& json, std::int32_t ids_end);
  std::size_t added(std::size_t texts) const override { return texts == 2 ? 3 : 2; }
  void process(std::vector<Encoding>& parts, bool add_special, const Texts&) const override {
    if (!add_special) return;
    surround(parts[0], {&cls_, 1}, {&sep_, 1}, 0);
    if (parts.size() > 1) surround(parts[1], {}, {&sep_, 1}, 1);
  }

 private:
  std::int32_t cls_, sep_;
};

/// ["[SEP]", 102]
std::int32_t named_id(const formats::Json& json, std::int32_t ids_end) {
  if (!json.is_array() || json.size() != 2) json.reject("is not a token and its id");
  auto part = json.elements().begin();
  ++part;
  return id_of(*part, ids_end);
}

BertProcessing::BertProcessing(const formats::Json& json, std::int32_t ids_end)
    : cls_(named_id(json.at("cls"), ids_end)), sep_(named_id(json.at("sep"), ids_end)) {}

/// <s> A </s>, and </s> B </s> after it; every token is of type 0.
class RobertaProcessing final : public PostProcessor {
 public:
  RobertaProcessing(const formats::Json& json, std::int32_t ids_end)
      : cls_(named_id(json.at("cls"), ids_end)),
        sep_(named_id(json.at("sep"), ids_end)),
        trims_(json.boolean_or("trim_offsets", true)),
        added_space_(json.boolean_or("add_prefix_space", true)) {}
  std::size_t added(std::size_t texts) const override { return texts == 2 ? 4 : 2; }
  void process(std::vector<Encoding>& parts, bool add_special, const Texts& texts) const override {
    if (trims_) trim_all(parts, added_space_, texts);
    for (Encoding& part : parts) {
      std::ranges::fill(part.types, 0);
      if (add_special) surround(part, {&part == &parts[0] ? &cls_ : &sep_, 1}, {&sep_, 1}, 0);
    }
  }

 private:
  std::int32_t cls_, sep_;
  bool trims_, added_space_;
};

class ByteLevelProcessing final : public PostProcessor {
 public:
  explicit ByteLevelProcessing(const formats::Json& json)
      : trims_(json.boolean_or("trim_offsets", true)),
        added_space_(json.boolean_or("add_prefix_space", true)) {}
  std::size_t added(std::size_t) const override { return 0; }
  void process(std::vector<Encoding>& parts, bool, const Texts& texts) const override {
    if (trims_) trim_all(parts, added_space_, texts);
  }

 private:
  bool trims_, added_space_;
};

/// Texts and special tokens in an order that the file gives.
class TemplateProcessing final : public PostProcessor {
 public:
  TemplateProcessing(const formats::Json& json, std::int32_t ids_end) {
    std::map<std::string_view, std::vector<std::int32_t>> tokens;
    for (const auto& [name, token] : json.at("special_tokens").members())
      for (const formats::Json& id : token.at("ids").elements()) tokens[name].push_back(id_of(id, ids_end));
    single_ = parse(json.at("single"), tokens, 1);
    pair_ = parse(json.at("pair"), tokens, 2);
  }

  std::size_t added(std::size_t texts) const override {
    std::size_t count = 0;
    for (const Piece& piece : texts == 2 ? pair_ : single_) count += piece.ids.size();
    return count;
  }

  void process(std::vector<Encoding>& parts, bool add_special, const Texts&) const override {
    std::vector<Encoding> out;
    for (const Piece& piece : parts.size() == 2 ? pair_ : single_) {
      if (piece.text < 0) {
        if (add_special) out.push_back(specials(piece.ids, piece.type));
        continue;
      }
      Encoding& text = parts[static_cast<std::size_t>(piece.text)];
      std::ranges::fill(text.types, piece.type);
      out.push_back(text);
    }
    parts = std::move(out);
  }

 private:
  struct Piece {
    int text = -1;                  // 0 or 1; -1: special tokens
    std::vector<std::int32_t> ids;  // of those
    std::int32_t type = 0;
  };

  template <class Tokens>
  static std::vector<Piece> parse(const formats::Json& json, const Tokens& tokens, int texts) {
    std::vector<Piece> out;
    for (const formats::Json& element : json.elements()) {
      const auto text = element.find("Sequence");
      const formats::Json piece = text ? *text : element.at("SpecialToken");
      const formats::Json id = piece.at("id");
      const auto type = static_cast<std::int32_t>(piece.integer_or("type_id", 0, 0, 1 << 20));
      if (text) {
        const int index = id.text() == "A" ? 0 : id.text() == "B" ? 1 : 2;
        if (index >= texts) id.reject("is no text of this template");
        out.push_back({index, {}, type});
        continue;
      }
      const auto found = tokens.find(id.text());
      if (found == tokens.end()) id.reject("is none of its special_tokens");
      out.push_back({-1, found->second, type});
    }
    return out;
  }

  std::vector<Piece> single_, pair_;
};

class ProcessorSequence final : public PostProcessor {
 public:
  ProcessorSequence(const formats::Json& json, std::int32_t ids_end) {
    for (const formats::Json& part : json.at("processors").elements())
      parts_.push_back(parse_post_processor(part, ids_end));
  }
  std::size_t added(std::size_t texts) const override {
    std::size_t count = 0;
    for (const auto& part : parts_) count += part->added(texts);
    return count;
  }
  void process(std::vector<Encoding>& parts, bool add_special, const Texts& texts) const override {
    for (const auto& part : parts_) part->process(parts, add_special, texts);
  }

 private:
  std::vector<std::unique_ptr<const PostProcessor>> parts_;
};

}  // namespace

std::unique_ptr<const PostProcessor> parse_post_processor(const formats::Json& json, std::int32_t ids_end) {
  const std::string_view type = json.at("type").text();
  if (type == "TemplateProcessing") return std::make_unique<TemplateProcessing>(json, ids_end);
  if (type == "BertProcessing") return std::make_unique<BertProcessing>(json, ids_end);
  if (type == "RobertaProcessing") return std::make_unique<RobertaProcessing>(json, ids_end);
  if (type == "ByteLevel") return std::make_unique<ByteLevelProcessing>(json);
  if (type == "Sequence") return std::make_unique<ProcessorSequence>(json, ids_end);
  json.at("type").reject("a post_processor that fovea does not have");
}

}  // namespace fovea::text::pipeline
