#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/text/charsmap.h"
#include "fovea/text/piece_trie.h"
#include "fovea/text/sentencepiece_proto.h"

namespace fovea::text {

/// The character that stands for a space inside pieces: U+2581, lower one eighth block.
inline constexpr std::string_view space_symbol = "\xE2\x96\x81";

/// Bytes [begin, end) of a text.
struct TextRange {
  std::uint32_t begin = 0, end = 0;
  bool empty() const { return begin >= end; }
  bool operator==(const TextRange&) const = default;
};

/// What happens to a text before it is cut into pieces: rules of the character map, spaces at the ends
/// dropped and runs of them made one, a space put before (or after) the whole, spaces written as U+2581.
/// User-defined symbols stay as they are. A byte that is not UTF-8 becomes U+FFFD. Source:
/// google/sentencepiece, src/normalizer.cc.
class Normaliser {
 public:
  Normaliser() = default;
  /// `user_symbols` must outlive this. Throws Error(model) naming `where`.
  Normaliser(const SentencePieceProto::Normaliser& spec, const PieceTrie* user_symbols,
             std::string_view where);

  /// Time linear in the text. Throws Error(data) if the result would not fit 2^31 bytes.
  /// `origins` (nullable) receives, for each byte of the result, the bytes of `text` that it stands for:
  /// those of one character, or of all that a rule took together. A space put before the whole stands for
  /// none.
  std::string normalise(std::string_view text, std::vector<TextRange>* origins = nullptr) const;

 private:
  struct Prefix {
    std::string_view replacement;
    std::size_t length;  // bytes of the text it stands for
  };
  Prefix normalise_prefix(std::string_view text) const;
  std::size_t plain_run(std::string_view text) const;
  void append_escaped(std::string& out, std::string_view text) const;
  void append_space(std::string& out) const;

  Charsmap charsmap_;
  const PieceTrie* user_symbols_ = nullptr;
  std::array<bool, 256> begins_symbol_{};
  bool add_dummy_prefix_ = false;
  bool remove_extra_whitespaces_ = false;
  bool escape_whitespaces_ = false;
  bool whitespace_as_suffix_ = false;
};

}  // namespace fovea::text
