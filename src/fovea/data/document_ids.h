#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "fovea/text/tokenizer.h"

namespace fovea::data {

/// What stands around a document when a model reads it; nothing: no such token.
struct DocumentFrame {
  std::optional<std::int32_t> begin, end;
};

/// The tokens of a document as a language model reads it: all of its text's, between those of the frame.
/// Throws Error(model) for a tokenizer whose file says that it cuts texts short.
std::vector<std::int32_t> document_ids(const text::Tokenizer& tokenizer, const DocumentFrame& frame,
                                       std::string_view document);

}  // namespace fovea::data
