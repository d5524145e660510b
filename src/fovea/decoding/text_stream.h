#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fovea/text/translation_tokenizer.h"

namespace fovea::decoding {

/// The text of a translation as its tokens come.
class TextStream {
 public:
  /// The tokenizer must outlive it.
  explicit TextStream(const text::TranslationTokenizer& tokenizer) : tokenizer_(tokenizer) {}

  /// What may be written when a further token is sure: a character that lacks bytes waits for them.
  std::string add(std::int32_t token);
  /// What is missing of the whole text. If that does not begin with what was written, as of a line that was
  /// translated in parts, all of it on a line of its own.
  std::string finish(const std::string& whole);

 private:
  const text::TranslationTokenizer& tokenizer_;
  std::vector<std::int32_t> tokens_;
  std::string written_;
};

}  // namespace fovea::decoding
