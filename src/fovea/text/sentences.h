#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fovea::text {

/// A part of a text, and what lies between it and the next.
struct Chunk {
  std::string_view text;
  std::string_view separator;  ///< spaces and line ends, often empty; those after the last chunk too
};

/// How many tokens a text has.
using TokenCounter = std::function<std::size_t(std::string_view)>;

/// Cuts a text too long for a model into parts of at most `limit` tokens. A text that fits stays whole. Else
/// it is cut after every sentence (models are trained on sentences): . ! ? ... followed by a space, their
/// full-width forms, and line ends. A sentence still too long is cut after clauses (, ; : and dashes), then
/// at spaces, then between characters: there as many as fit stay together. Not cut: after a full stop before
/// a lower-case letter; inside a character, which alone may have more tokens than `limit`. Views point into
/// `text`; text and separators of all chunks in order are the whole of it, apart from spaces at its
/// beginning. The time is that of counting the text a few times over. `limit` must be at least 1.
std::vector<Chunk> split_into_chunks(std::string_view text, std::size_t limit, const TokenCounter& count);

/// What stands between the translations of `chunk` and of the one after it: what separated them, or as
/// join_chunks() has it. Views into the chunk, or a space.
std::string_view between(std::string_view translation, const Chunk& chunk, std::string_view next_translation);

/// Puts the translations of chunks together with what separated the chunks. Scripts differ in their use of
/// spaces: between ideographs or kana a single space is left out, and where nothing separated
/// ("你好。再见。") but letters of other scripts meet, a space is put. The sizes must agree.
std::string join_chunks(std::span<const std::string> translations, std::span<const Chunk> chunks);

}  // namespace fovea::text
