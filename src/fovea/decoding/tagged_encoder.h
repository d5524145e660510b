#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fovea/data/labels.h"
#include "fovea/data/tagged_corpus.h"
#include "fovea/data/tagged_text.h"
#include "fovea/text/tokenizer.h"

namespace fovea::decoding {

/// Labelled sentences as a model reads them.
struct EncodedTags {
  data::TaggedCorpus corpus;
  /// The labels of each sentence that is not in it, as none of its words has a token.
  std::vector<std::vector<std::int32_t>> unread;
  std::int64_t cut = 0;         ///< sentences cut at the end
  std::int64_t lost_words = 0;  ///< without a token of their own: cut, or nothing that the tokenizer keeps
};

/// Words are read with a space between, and sentences cut to `max_tokens`. Throws Error(data) naming `file`
/// and line for a label that no class has.
EncodedTags encode_tagged(const data::TaggedText& text, const std::string& file,
                          const text::Tokenizer& tokenizer, const data::Labels& labels,
                          std::int64_t max_tokens);

}  // namespace fovea::decoding
