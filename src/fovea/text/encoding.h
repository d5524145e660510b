#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "fovea/text/normaliser.h"

namespace fovea::text {

/// A text, or a pair of texts, as a model takes it: one entry a token in each list.
struct Encoding {
  std::vector<std::int32_t> ids;
  std::vector<TextRange> ranges;        ///< bytes of its text that it stands for; empty for none
  std::vector<std::int32_t> words;      ///< number of the word it is of, as the text was first cut; -1 = none
  std::vector<std::int32_t> types;      ///< token type: 0 or 1, mostly the text it is of
  std::vector<std::int8_t> sequences;   ///< the text it is of, 0 or 1; -1 = none
  std::vector<std::uint8_t> special;    ///< 1 for what was put around the texts, and padding
  std::vector<std::uint8_t> attention;  ///< 0 for padding
  std::vector<Encoding> overflow;       ///< what was cut off, in windows of the greatest length

  std::size_t size() const { return ids.size(); }

  void append(std::int32_t id, TextRange range, std::int32_t word, std::int32_t type, std::int8_t sequence,
              bool is_special);
  /// Appends `other`, whose windows are combined with the ones here.
  void append(const Encoding& other);
  /// Tokens [begin, end), without overflow.
  Encoding slice(std::size_t begin, std::size_t end) const;
};

/// How much of a text is kept.
struct Truncation {
  enum class Side { left, right };
  enum class Strategy { longest_first, only_first, only_second };
  std::size_t max_length = 512;  ///< tokens, those put around the texts included
  std::size_t stride = 0;        ///< tokens that neighbouring windows of the overflow share
  Side direction = Side::right;  ///< the side that is cut off
  Strategy strategy = Strategy::longest_first;
};

/// Cuts a text, or two, to `limit` tokens in all. Throws Error(data) if that cannot be done as asked: the
/// text to be cut is missing or too short, or the stride not below what is left of it.
void truncate(Encoding& first, Encoding* second, std::size_t limit, const Truncation& truncation);

/// What short texts are filled up with.
struct Padding {
  enum class Side { left, right };
  std::size_t length = 0;       ///< tokens; 0: as many as the longest of a batch has
  std::size_t multiple_of = 0;  ///< rounded up to that; 0: not
  Side direction = Side::right;
  std::int32_t id = 0, type = 0;
};

/// Fills up each of a batch and its overflow; longer ones stay as they are.
void pad(std::vector<Encoding>& batch, const Padding& padding);

}  // namespace fovea::text
