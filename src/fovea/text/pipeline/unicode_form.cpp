#include "fovea/text/pipeline/unicode_form.h"

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <algorithm>

#include "fovea/base/error.h"
#include "fovea/text/pipeline/known_utf8.h"

namespace fovea::text::pipeline {
namespace {

const icu::Normalizer2& normaliser_of(UnicodeForm form) {
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* found = nullptr;
  switch (form) {
    case UnicodeForm::nfc:
      found = icu::Normalizer2::getNFCInstance(error);
      break;
    case UnicodeForm::nfd:
      found = icu::Normalizer2::getNFDInstance(error);
      break;
    case UnicodeForm::nfkc:
      found = icu::Normalizer2::getNFKCInstance(error);
      break;
    case UnicodeForm::nfkd:
      found = icu::Normalizer2::getNFKDInstance(error);
      break;
  }
  if (U_FAILURE(error) || found == nullptr)
    throw Error(Error::Kind::machine, "ICU", "its normalisation data cannot be loaded");
  return *found;
}

/// A character of the result; `change` as for ChangeWriter.
struct Part {
  char32_t c;
  int change;
  std::uint8_t combining_class;
};

class Former {
 public:
  Former(AlignedText& text, UnicodeForm form)
      : out_(text),
        normaliser_(normaliser_of(form)),
        composes_(form == UnicodeForm::nfc || form == UnicodeForm::nfkc) {}

  void run() {
    const std::string_view old = out_.old();
    for (std::size_t at = 0; at < old.size();) {
      // Of a run of ASCII only the last character can take part in anything.
      std::size_t plain = at;
      while (plain < old.size() && static_cast<unsigned char>(old[plain]) < 0x80) ++plain;
      if (plain > at + 1 || plain == old.size()) {
        flush();
        at = plain == old.size() ? plain : plain - 1;
        out_.copy_until(at);
        continue;
      }
      const Decoded c = character_at(old, at);
      decompose(c.code_point);
      at += c.length;
    }
    flush();
    out_.finish();
  }

 private:
  /// Adds the decomposition of a character to the segment at hand; a starter that nothing can be joined to
  /// from the left ends the one before.
  void decompose(char32_t c) {
    UVersionInfo age;
    u_charAge(static_cast<UChar32>(c), age);
    const bool known = age[0] != 0 && age[0] <= 9;
    if (!known || normaliser_.hasBoundaryBefore(static_cast<UChar32>(c))) flush();
    icu::UnicodeString decomposition;
    if (!known || !normaliser_.getDecomposition(static_cast<UChar32>(c), decomposition)) {
      segment_.push_back({c, 0, known ? u_getCombiningClass(static_cast<UChar32>(c)) : std::uint8_t{0}});
      return;
    }
    for (std::int32_t i = 0; i < decomposition.length();) {
      const UChar32 part = decomposition.char32At(i);
      segment_.push_back({static_cast<char32_t>(part), i > 0 ? 1 : 0, u_getCombiningClass(part)});
      i += U16_LENGTH(part);
    }
  }

  void sort_marks() {
    for (auto begin = segment_.begin(); begin != segment_.end();) {
      if (begin->combining_class == 0) {
        ++begin;
        continue;
      }
      const auto end =
          std::find_if(begin, segment_.end(), [](const Part& part) { return part.combining_class == 0; });
      std::stable_sort(begin, end,
                       [](const Part& a, const Part& b) { return a.combining_class < b.combining_class; });
      begin = end;
    }
  }

  /// Joins each starter with what follows it and nothing blocks (UAX 15, D117).
  void compose() {
    std::size_t starter = segment_.size(), kept = 0;
    int last_class = -1;  // of the last character kept after the starter; -1: none
    for (std::size_t i = 0; i < segment_.size(); ++i) {
      const Part part = segment_[i];
      if (starter < kept && (last_class < part.combining_class)) {
        const UChar32 joined =
            normaliser_.composePair(static_cast<UChar32>(segment_[starter].c), static_cast<UChar32>(part.c));
        if (joined >= 0) {
          segment_[starter].c = static_cast<char32_t>(joined);
          segment_[starter].change += part.change - 1;
          continue;
        }
      }
      if (part.combining_class == 0) {
        starter = kept;
        last_class = -1;
      } else {
        last_class = part.combining_class;
      }
      segment_[kept++] = part;
    }
    segment_.resize(kept);
  }

  void flush() {
    sort_marks();
    if (composes_) compose();
    for (const Part& part : segment_) out_.add(part.c, part.change);
    segment_.clear();
  }

  ChangeWriter out_;
  const icu::Normalizer2& normaliser_;
  bool composes_;
  std::vector<Part> segment_;
};

}  // namespace

void to_unicode_form(AlignedText& text, UnicodeForm form) {
  UErrorCode error = U_ZERO_ERROR;
  const icu::StringPiece old(text.text().data(), static_cast<std::int32_t>(text.size()));
  if (normaliser_of(form).isNormalizedUTF8(old, error) && U_SUCCESS(error)) return;
  Former(text, form).run();
}

}  // namespace fovea::text::pipeline
