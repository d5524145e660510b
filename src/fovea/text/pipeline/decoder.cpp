#include "fovea/text/pipeline/decoder.h"

#include <algorithm>

#include "fovea/text/pipeline/byte_alphabet.h"
#include "fovea/text/pipeline/known_utf8.h"
#include "fovea/text/pipeline/pattern.h"
#include "fovea/text/pipeline/pre_tokenisers.h"
#include "fovea/text/utf8.h"

namespace fovea::text::pipeline {
namespace {

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  if (from.empty()) return;
  std::string out;
  std::size_t done = 0;
  for (std::size_t at; (at = text.find(from, done)) != std::string::npos; done = at + from.size())
    out.append(text, done, at - done).append(to);
  if (done > 0) text = out.append(text, done);
}

/// Undoes what BERT's tokenizer does to English; in this order, and "do not" with it.
void clean_up(std::string& text) {
  constexpr std::pair<std::string_view, std::string_view> changes[] = {
      {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
      {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : changes) replace_all(text, from, to);
}

class ByteLevelDecoder final : public Decoder {
 public:
  void decode(std::vector<std::string>& pieces) const override {
    std::string bytes;
    for (const std::string& piece : pieces)
      if (const std::size_t before = bytes.size(); !append_bytes(piece, bytes))
        bytes.resize(before), bytes += piece;
    pieces.assign(1, repair_utf8(bytes).text);
  }

 private:
  /// False if not all characters are of the byte alphabet.
  static bool append_bytes(std::string_view piece, std::string& bytes) {
    while (!piece.empty()) {
      const Decoded c = character_at(piece, 0);
      const int byte = byte_of_character(c.code_point);
      if (byte < 0) return false;
      bytes.push_back(static_cast<char>(byte));
      piece.remove_prefix(c.length);
    }
    return true;
  }
};

class WordPieceDecoder final : public Decoder {
 public:
  explicit WordPieceDecoder(const formats::Json& json)
      : prefix_(json.text_or("prefix", "##")), cleans_(json.boolean_or("cleanup", true)) {}
  void decode(std::vector<std::string>& pieces) const override {
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      if (i > 0 && pieces[i].starts_with(prefix_))
        pieces[i].erase(0, prefix_.size());
      else if (i > 0)
        pieces[i].insert(0, " ");
      if (cleans_) clean_up(pieces[i]);
    }
  }

 private:
  std::string prefix_;
  bool cleans_;
};

class MetaspaceDecoder final : public Decoder {
 public:
  explicit MetaspaceDecoder(const formats::Json& json) : options_(parse_metaspace(json)) {}
  void decode(std::vector<std::string>& pieces) const override {
    const bool drops = options_.prepend != MetaspaceOptions::Prepend::never;
    for (std::size_t i = 0; i < pieces.size(); ++i)
      replace_all(pieces[i], options_.replacement, i == 0 && drops ? "" : " ");
  }

 private:
  MetaspaceOptions options_;
};

class BytePairsDecoder final : public Decoder {
 public:
  explicit BytePairsDecoder(const formats::Json& json) : suffix_(json.text_or("suffix", "</w>")) {}
  void decode(std::vector<std::string>& pieces) const override {
    for (std::size_t i = 0; i < pieces.size(); ++i)
      replace_all(pieces[i], suffix_, i + 1 == pieces.size() ? "" : " ");
  }

 private:
  std::string suffix_;
};

/// Drops repeats and pads: connectionist temporal classification.
class CtcDecoder final : public Decoder {
 public:
  explicit CtcDecoder(const formats::Json& json)
      : pad_(json.at("pad_token").text()),
        delimiter_(json.at("word_delimiter_token").text()),
        cleans_(json.at("cleanup").boolean()) {}
  void decode(std::vector<std::string>& pieces) const override {
    pieces.erase(std::unique(pieces.begin(), pieces.end()), pieces.end());
    for (std::string& piece : pieces) {
      replace_all(piece, pad_, "");
      if (!cleans_) continue;
      clean_up(piece);
      replace_all(piece, delimiter_, " ");
    }
    std::erase(pieces, std::string());
  }

 private:
  std::string pad_, delimiter_;
  bool cleans_;
};

/// Runs of <0xNN> become the characters they are, or one U+FFFD a byte.
class ByteFallbackDecoder final : public Decoder {
 public:
  void decode(std::vector<std::string>& pieces) const override {
    std::vector<std::string> out;
    std::string bytes;
    const auto flush = [&] {
      if (is_valid_utf8(bytes)) {
        if (!bytes.empty()) out.push_back(bytes);
      } else {
        out.insert(out.end(), bytes.size(), std::string(replacement_utf8));
      }
      bytes.clear();
    };
    for (std::string& piece : pieces) {
      const int byte = byte_of(piece);
      if (byte >= 0) {
        bytes.push_back(static_cast<char>(byte));
        continue;
      }
      flush();
      out.push_back(std::move(piece));
    }
    flush();
    pieces = std::move(out);
  }

 private:
  static int byte_of(std::string_view piece) {
    if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') return -1;
    const auto digit = [](char c) {
      return c >= '0' && c <= '9'   ? c - '0'
             : c >= 'A' && c <= 'F' ? c - 'A' + 10
             : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                    : -1;
    };
    const int high = digit(piece[3]), low = digit(piece[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
  }
};

class FuseDecoder final : public Decoder {
 public:
  void decode(std::vector<std::string>& pieces) const override {
    std::string all;
    for (const std::string& piece : pieces) all += piece;
    pieces.assign(1, std::move(all));
  }
};

/// Takes up to so many of a character off the ends of pieces.
class StripDecoder final : public Decoder {
 public:
  explicit StripDecoder(const formats::Json& json)
      : character_(character_of(json.at("content"))),
        start_(json.at("start").integer(0)),
        stop_(json.at("stop").integer(0)) {}
  void decode(std::vector<std::string>& pieces) const override {
    for (std::string& piece : pieces) {
      std::string_view rest = piece;
      for (std::int64_t i = 0; i < start_ && rest.starts_with(character_); ++i)
        rest.remove_prefix(character_.size());
      for (std::int64_t i = 0; i < stop_ && rest.ends_with(character_); ++i)
        rest.remove_suffix(character_.size());
      piece = std::string(rest);
    }
  }

 private:
  std::string character_;
  std::int64_t start_, stop_;
};

class ReplaceDecoder final : public Decoder {
 public:
  explicit ReplaceDecoder(const formats::Json& json)
      : pattern_(json.at("pattern")), content_(json.at("content").text()) {}
  void decode(std::vector<std::string>& pieces) const override {
    for (std::string& piece : pieces) {
      std::string out;
      std::size_t copied = 0;
      pattern_.for_each_match(piece, [&](TextRange match) {
        out.append(piece, copied, match.begin - copied).append(content_);
        copied = match.end;
      });
      piece = out.append(piece, copied);
    }
  }

 private:
  Pattern pattern_;
  std::string content_;
};

class DecoderSequence final : public Decoder {
 public:
  explicit DecoderSequence(const formats::Json& json) {
    for (const formats::Json& part : json.at("decoders").elements()) parts_.push_back(parse_decoder(part));
  }
  void decode(std::vector<std::string>& pieces) const override {
    for (const auto& part : parts_) part->decode(pieces);
  }

 private:
  std::vector<std::unique_ptr<const Decoder>> parts_;
};

}  // namespace

std::unique_ptr<const Decoder> parse_decoder(const formats::Json& json) {
  const std::string_view type = json.at("type").text();
  if (type == "Sequence") return std::make_unique<DecoderSequence>(json);
  if (type == "ByteLevel") return std::make_unique<ByteLevelDecoder>();
  if (type == "WordPiece") return std::make_unique<WordPieceDecoder>(json);
  if (type == "Metaspace") return std::make_unique<MetaspaceDecoder>(json);
  if (type == "BPEDecoder") return std::make_unique<BytePairsDecoder>(json);
  if (type == "CTC") return std::make_unique<CtcDecoder>(json);
  if (type == "ByteFallback") return std::make_unique<ByteFallbackDecoder>();
  if (type == "Fuse") return std::make_unique<FuseDecoder>();
  if (type == "Strip") return std::make_unique<StripDecoder>(json);
  if (type == "Replace") return std::make_unique<ReplaceDecoder>(json);
  json.at("type").reject("a decoder that fovea does not have");
}

}  // namespace fovea::text::pipeline
