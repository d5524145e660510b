#pragma once

#include <cstddef>

#include "fovea/text/encoding.h"

namespace fovea::text {

/// Cuts a text, or a pair, that has its special tokens already to `limit` tokens in all: the last tokens of
/// the longer text go first, as with Truncation::Strategy::longest_first; special ones stay. Returns whether
/// anything was cut. Throws Error(data) if the special tokens alone are more.
bool shorten(Encoding& encoding, std::size_t limit);

}  // namespace fovea::text
