#pragma once

#include "fovea/text/pipeline/aligned_text.h"
#include "fovea/text/pipeline/known_utf8.h"

namespace fovea::text::pipeline {

/// Lets `change(c, at, out)` write what takes the place of each character c, at byte `at`, for which
/// `concerns(c)`; the others stay. A text without such characters is not touched.
template <class Concerns, class Change>
void change_characters(AlignedText& text, const Concerns& concerns, const Change& change) {
  const std::string_view old = text.text();
  std::size_t at = 0;
  const auto next = [&]() -> Decoded {  // the next one concerned, or length 0
    while (at < old.size()) {
      const Decoded c = character_at(old, at);
      if (concerns(c.code_point)) return c;
      at += c.length;
    }
    return {.length = 0};
  };
  Decoded c = next();
  if (c.length == 0) return;
  Rewriter out(text);
  std::size_t copied = 0;
  for (; c.length > 0; c = next()) {
    out.copy(copied, at);
    change(c.code_point, at, out);
    copied = at += c.length;
  }
  out.copy(copied, old.size());
  out.finish();
}

/// Drops the characters for which `concerns(c)`.
template <class Concerns>
void drop_characters(AlignedText& text, const Concerns& concerns) {
  change_characters(text, concerns, [](char32_t, std::size_t, Rewriter&) {});
}

}  // namespace fovea::text::pipeline
