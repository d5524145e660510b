#pragma once

#include <memory>

#include "fovea/formats/json.h"
#include "fovea/text/pipeline/split_text.h"

namespace fovea::text::pipeline {

/// Cuts a normalised text into words, or whatever a model then cuts into tokens.
class PreTokeniser {
 public:
  virtual ~PreTokeniser() = default;
  /// May be called from many threads.
  virtual void split(SplitText& text) const = 0;
  /// Whether it asks where in the original a part lies, so that the text must track it.
  virtual bool needs_origins() const { return false; }
};

/// The pre-tokenizer of a tokenizer.json: BertPreTokenizer, ByteLevel, Split, Metaspace, Whitespace,
/// WhitespaceSplit, Punctuation, Digits, CharDelimiterSplit, FixedLength, Sequence. Throws Error(model)
/// naming file and place: another type, a field missing or wrong.
std::unique_ptr<const PreTokeniser> parse_pre_tokeniser(const formats::Json& json);

}  // namespace fovea::text::pipeline
