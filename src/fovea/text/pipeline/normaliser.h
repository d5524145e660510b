#pragma once

#include <memory>

#include "fovea/formats/json.h"
#include "fovea/text/pipeline/aligned_text.h"

namespace fovea::text::pipeline {

/// What happens to a text before it is cut up.
class Normaliser {
 public:
  virtual ~Normaliser() = default;
  /// May be called from many threads.
  virtual void normalise(AlignedText& text) const = 0;
};

/// The normaliser of a tokenizer.json: NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Strip, BertNormalizer,
/// Nmt, Precompiled, Replace, Prepend, ByteLevel, Sequence. Throws Error(model) naming file and place:
/// another type, a field missing or wrong.
std::unique_ptr<const Normaliser> parse_normaliser(const formats::Json& json);

}  // namespace fovea::text::pipeline
