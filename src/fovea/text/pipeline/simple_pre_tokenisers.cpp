#include "fovea/text/pipeline/characters.h"
#include "fovea/text/pipeline/known_utf8.h"
#include "fovea/text/pipeline/pattern.h"
#include "fovea/text/pipeline/pre_tokenisers.h"
#include "fovea/text/utf8.h"

namespace fovea::text::pipeline {
namespace {

/// Cuts where one kind of character ends and another begins: `kind_of(c)` is a Kind.
enum class Kind { delimiter, single, word, other };

template <class KindOf>
void cut_by_kind(SplitText& text, Delimiters delimiters, const KindOf& kind_of) {
  cut_splits(text, delimiters, [&](std::string_view part, const auto& add) {
    Kind run = Kind::single;  // no run: the first character begins one
    std::size_t at = 0;
    while (at < part.size()) {
      const Decoded c = character_at(part, at);
      const Kind kind = kind_of(c.code_point);
      const bool alone = kind == Kind::delimiter || kind == Kind::single;
      if (at > 0 && (alone || kind != run)) add(at, run == Kind::delimiter);
      run = kind;
      at += c.length;
    }
    if (at > 0) add(at, run == Kind::delimiter);
  });
}

class BertPreTokeniser final : public PreTokeniser {
 public:
  void split(SplitText& text) const override {
    cut_by_kind(text, Delimiters::removed, [](char32_t c) {
      return is_space(c) ? Kind::delimiter : is_punctuation(c) ? Kind::single : Kind::other;
    });
  }
};

/// \w+|[^\w\s]+
class Whitespace final : public PreTokeniser {
 public:
  void split(SplitText& text) const override {
    cut_by_kind(text, Delimiters::removed, [](char32_t c) {
      return is_word(c) ? Kind::word : is_space(c) ? Kind::delimiter : Kind::other;
    });
  }
};

class WhitespaceSplit final : public PreTokeniser {
 public:
  void split(SplitText& text) const override {
    cut_by_kind(text, Delimiters::removed,
                [](char32_t c) { return is_space(c) ? Kind::delimiter : Kind::other; });
  }
};

class Punctuation final : public PreTokeniser {
 public:
  explicit Punctuation(const formats::Json& json)
      : delimiters_(json.has("behavior") ? parse_delimiters(json.at("behavior")) : Delimiters::isolated) {}
  void split(SplitText& text) const override {
    cut_by_kind(text, delimiters_,
                [](char32_t c) { return is_punctuation(c) ? Kind::delimiter : Kind::other; });
  }

 private:
  Delimiters delimiters_;
};

class Digits final : public PreTokeniser {
 public:
  explicit Digits(const formats::Json& json)
      : delimiters_(json.at("individual_digits").boolean() ? Delimiters::isolated : Delimiters::contiguous) {}
  void split(SplitText& text) const override {
    cut_by_kind(text, delimiters_, [](char32_t c) { return is_numeric(c) ? Kind::delimiter : Kind::other; });
  }

 private:
  Delimiters delimiters_;
};

class CharDelimiterSplit final : public PreTokeniser {
 public:
  explicit CharDelimiterSplit(const formats::Json& json)
      : delimiter_(decode_utf8(character_of(json.at("delimiter"))).code_point) {}
  void split(SplitText& text) const override {
    cut_by_kind(text, Delimiters::removed,
                [this](char32_t c) { return c == delimiter_ ? Kind::delimiter : Kind::other; });
  }

 private:
  char32_t delimiter_;
};

class FixedLength final : public PreTokeniser {
 public:
  explicit FixedLength(const formats::Json& json) : length_(json.integer_or("length", 5, 1)) {}
  void split(SplitText& text) const override {
    cut_splits(text, Delimiters::isolated, [this](std::string_view part, const auto& add) {
      std::int64_t characters = 0;
      for (std::size_t at = 0; at < part.size();) {
        at += character_at(part, at).length;
        if (++characters % length_ == 0 || at == part.size()) add(at, false);
      }
    });
  }

 private:
  std::int64_t length_;
};

class PatternSplit final : public PreTokeniser {
 public:
  explicit PatternSplit(const formats::Json& json)
      : pattern_(json.at("pattern")),
        delimiters_(parse_delimiters(json.at("behavior"))),
        inverted_(json.at("invert").boolean()) {}
  void split(SplitText& text) const override {
    cut_splits(text, delimiters_, [this](std::string_view part, const auto& add) {
      std::size_t done = 0;
      pattern_.for_each_match(part, [&](TextRange match) {
        if (done != match.begin) add(match.begin, inverted_);
        add(match.end, !inverted_);
        done = match.end;
      });
      if (done != part.size()) add(part.size(), inverted_);
    });
  }

 private:
  Pattern pattern_;
  Delimiters delimiters_;
  bool inverted_;
};

}  // namespace

std::string_view character_of(const formats::Json& json) {
  const std::string_view text = json.text();
  if (text.empty() || decode_utf8(text).length != text.size()) json.reject("must be one character");
  return text;
}

std::unique_ptr<const PreTokeniser> make_bert_pre_tokeniser() { return std::make_unique<BertPreTokeniser>(); }
std::unique_ptr<const PreTokeniser> make_whitespace() { return std::make_unique<Whitespace>(); }
std::unique_ptr<const PreTokeniser> make_whitespace_split() { return std::make_unique<WhitespaceSplit>(); }
std::unique_ptr<const PreTokeniser> make_punctuation(const formats::Json& json) {
  return std::make_unique<Punctuation>(json);
}
std::unique_ptr<const PreTokeniser> make_digits(const formats::Json& json) {
  return std::make_unique<Digits>(json);
}
std::unique_ptr<const PreTokeniser> make_char_delimiter_split(const formats::Json& json) {
  return std::make_unique<CharDelimiterSplit>(json);
}
std::unique_ptr<const PreTokeniser> make_fixed_length(const formats::Json& json) {
  return std::make_unique<FixedLength>(json);
}
std::unique_ptr<const PreTokeniser> make_split(const formats::Json& json) {
  return std::make_unique<PatternSplit>(json);
}

}  // namespace fovea::text::pipeline
