#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace fovea::text {

/// A piece found in a normalised text.
struct Segment {
  std::int32_t id;       ///< the id of the unknown piece if no piece fits
  std::uint32_t begin;   ///< byte offset
  std::uint32_t length;  ///< in bytes, at least 1
};

/// Cuts normalised text into pieces; SentencePiece has two ways.
class Segmenter {
 public:
  virtual ~Segmenter() = default;
  /// Appends the segments of `text` (below 2^31 bytes), in order and without gaps. May be called from many
  /// threads.
  virtual void segment(std::string_view text, std::vector<Segment>& out) const = 0;
};

}  // namespace fovea::text
