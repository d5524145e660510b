#include <unicode/uchar.h>

#include "fovea/text/pipeline/byte_alphabet.h"
#include "fovea/text/pipeline/characters.h"
#include "fovea/text/pipeline/each_character.h"
#include "fovea/text/pipeline/normalisers.h"
#include "fovea/text/pipeline/pattern.h"

namespace fovea::text::pipeline {
namespace {

constexpr char32_t capital_i_with_dot = 0x130;  // the one whose small letter is two characters

char32_t lower_of(char32_t c) { return static_cast<char32_t>(u_tolower(static_cast<UChar32>(c))); }

class Lowercase final : public Normaliser {
 public:
  void normalise(AlignedText& text) const override { to_lower(text); }
};

class StripAccents final : public Normaliser {
 public:
  void normalise(AlignedText& text) const override { drop_characters(text, is_combining_mark); }
};

/// Drops white space at the ends.
class Strip final : public Normaliser {
 public:
  explicit Strip(const formats::Json& json)
      : left_(json.at("strip_left").boolean()), right_(json.at("strip_right").boolean()) {}

  void normalise(AlignedText& text) const override {
    const std::string_view old = text.text();
    std::size_t begin = 0, end = 0, first = old.size();  // end: of the last character that is no space
    for (std::size_t at = 0; at < old.size();) {
      const Decoded c = character_at(old, at);
      if (!is_space(c.code_point)) {
        first = std::min(first, at);
        end = at + c.length;
      }
      at += c.length;
    }
    if (left_) begin = first;
    if (!right_) end = old.size();
    if (begin == 0 && end == old.size()) return;
    Rewriter out(text);
    if (begin < end) out.copy(begin, end);
    out.finish();
  }

 private:
  bool left_, right_;
};

/// SentencePiece's nmt rules: drops control characters, makes spaces of what is white or invisible.
class Nmt final : public Normaliser {
 public:
  void normalise(AlignedText& text) const override {
    change_characters(
        text, [](char32_t c) { return vanishes(c) || becomes_space(c); },
        [](char32_t c, std::size_t at, Rewriter& out) {
          if (!vanishes(c)) out.put(" ", at);
        });
  }

 private:
  static bool vanishes(char32_t c) {
    return (c >= 0x01 && c <= 0x08) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F || c == 0x8F ||
           c == 0x9F;
  }
  static bool becomes_space(char32_t c) {
    return c == 0x09 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 || (c >= 0x200B && c <= 0x200F) ||
           c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
  }
};

class Prepend final : public Normaliser {
 public:
  explicit Prepend(const formats::Json& json) : prefix_(json.at("prepend").text()) {}
  void normalise(AlignedText& text) const override {
    if (text.size() == 0) return;
    Rewriter out(text);
    out.put(prefix_, 0);
    out.copy(0, text.size());
    out.finish();
  }

 private:
  std::string prefix_;
};

class Replace final : public Normaliser {
 public:
  explicit Replace(const formats::Json& json)
      : pattern_(json.at("pattern")), content_(json.at("content").text()) {}

  void normalise(AlignedText& text) const override {
    std::vector<TextRange> matches;
    pattern_.for_each_match(text.text(), [&](TextRange match) { matches.push_back(match); });
    if (matches.empty()) return;
    Rewriter out(text);
    std::size_t copied = 0;
    for (const TextRange match : matches) {
      out.copy(copied, match.begin);
      out.put(content_, match.end == 0 ? Rewriter::nowhere : match.end - 1);
      copied = match.end;
    }
    out.copy(copied, text.size());
    out.finish();
  }

 private:
  Pattern pattern_;
  std::string content_;
};

class ByteLevelNormaliser final : public Normaliser {
 public:
  void normalise(AlignedText& text) const override {
    const std::string_view old = text.text();
    Rewriter out(text);
    for (std::size_t at = 0; at < old.size(); ++at)
      out.put(character_of_byte(static_cast<unsigned char>(old[at])), at);
    out.finish();
  }
};

}  // namespace

void to_lower(AlignedText& text) {
  for (char& c : text.bytes())
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  change_characters(
      text, [](char32_t c) { return c >= 0x80 && (lower_of(c) != c || c == capital_i_with_dot); },
      [](char32_t c, std::size_t at, Rewriter& out) {
        if (c == capital_i_with_dot)
          out.put("i\u0307", at);
        else
          out.put(lower_of(c), at);
      });
}

std::unique_ptr<const Normaliser> make_lowercase() { return std::make_unique<Lowercase>(); }
std::unique_ptr<const Normaliser> make_strip_accents() { return std::make_unique<StripAccents>(); }
std::unique_ptr<const Normaliser> make_strip(const formats::Json& json) {
  return std::make_unique<Strip>(json);
}
std::unique_ptr<const Normaliser> make_nmt() { return std::make_unique<Nmt>(); }
std::unique_ptr<const Normaliser> make_prepend(const formats::Json& json) {
  return std::make_unique<Prepend>(json);
}
std::unique_ptr<const Normaliser> make_replace(const formats::Json& json) {
  return std::make_unique<Replace>(json);
}
std::unique_ptr<const Normaliser> make_byte_level_normaliser() {
  return std::make_unique<ByteLevelNormaliser>();
}

}  // namespace fovea::text::pipeline
