#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/text/vocabulary.h"

namespace fovea::text {

/// Tokens by which a model for many languages is told which: `__de__` of M2M100, `deu_Latn` of NLLB, `de_DE`
/// of mBART, `>>deu<<` of OPUS-MT.
class LanguageTokens {
 public:
  /// Where the token of the source's language stands in a source. What the decoder is made to say first is,
  /// but for `wanted`, the token of the target's language.
  enum class Place {
    none,    ///< the model knows no languages
    before,  ///< language, text, </s>: M2M100, NLLB, mBART-50
    after,   ///< text, </s>, language: mBART-25, NLLB as it was before 2023
    wanted,  ///< the target's language, text, </s>: OPUS-MT
  };

  LanguageTokens() = default;
  /// Those of the vocabulary. The languages that nobody chooses are `source` and `target`; -1: none.
  LanguageTokens(const Vocabulary& vocabulary, Place place, std::string_view source, std::string_view target);

  /// Texts are of `source` and become `target`; empty: as before. A language is named by its token, or by
  /// what it is of that alone has: "de", "deu". Throws Error(usage) if there is none of that name, or
  /// several, listing some; or if the model knows no languages.
  void choose(const Vocabulary& vocabulary, std::string_view source, std::string_view target);

  Place place() const { return place_; }
  const std::vector<std::string>& languages() const { return languages_; }
  bool is_language(std::int32_t id) const;
  /// Puts the tokens around those of a source, which ends in `</s>`; `ranges`, if given, gets empty ones.
  void frame_source(std::vector<std::int32_t>& ids, std::vector<TextRange>* ranges = nullptr) const;
  /// Likewise around what is said.
  void frame_target(std::vector<std::int32_t>& ids, std::vector<TextRange>* ranges = nullptr) const;
  /// What every translation begins with; -1: nothing.
  std::int32_t first() const { return place_ == Place::before || place_ == Place::after ? target_ : -1; }
  bool needs_target() const { return place_ == Place::before && target_ < 0; }
  /// Tokens at the end of every source that are not text.
  std::int64_t closing() const { return place_ == Place::after && source_ >= 0 ? 2 : 1; }

 private:
  std::int32_t find(const Vocabulary& vocabulary, std::string_view name) const;

  Place place_ = Place::none;
  std::vector<std::string> languages_;
  std::vector<std::int32_t> ids_;  // of languages_, ascending
  std::int32_t source_ = -1, target_ = -1;
};

}  // namespace fovea::text
