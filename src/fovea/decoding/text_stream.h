#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fovea/decoding/search_options.h"
#include "fovea/text/sentences.h"
#include "fovea/text/translation_tokenizer.h"

namespace fovea::decoding {

/// The text of a line's translation as its tokens come.
class TextStream {
 public:
  /// The tokenizer must outlive it.
  explicit TextStream(const text::TranslationTokenizer& tokenizer) : tokenizer_(tokenizer) {}

  /// The line that is translated next, in its parts (line_parts); they must live to finish().
  void begin(std::vector<text::Chunk> parts);
  /// What may be written when a further token is sure: a character that lacks bytes waits for them, and what
  /// stands between two parts for the first character of the second.
  std::string add(const StreamedToken& token);
  /// What is missing of the whole text; all of it, on a line of its own, should it not begin with what was
  /// written.
  std::string finish(const std::string& whole);

 private:
  std::string joined(const std::string& text) const;
  std::string fresh(const std::string& text);

  const text::TranslationTokenizer& tokenizer_;
  std::vector<text::Chunk> parts_;
  std::size_t part_ = 0;              // that is being written
  std::vector<std::int32_t> tokens_;  // of this part
  std::string before_;                // translation of the part before
  std::string written_;               // of this part, and what stands before it
  std::string whole_;                 // all that was written
};

}  // namespace fovea::decoding
