#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fovea/formats/json.h"

namespace fovea::text::pipeline {

/// Makes text of pieces again; the text is what is left, joined.
class Decoder {
 public:
  virtual ~Decoder() = default;
  /// May be called from many threads.
  virtual void decode(std::vector<std::string>& pieces) const = 0;
};

/// The decoder of a tokenizer.json: ByteLevel, WordPiece, Metaspace, BPEDecoder, CTC, ByteFallback, Fuse,
/// Strip, Replace, Sequence. Throws Error(model) naming file and place: another type, a field missing or
/// wrong.
std::unique_ptr<const Decoder> parse_decoder(const formats::Json& json);

}  // namespace fovea::text::pipeline
