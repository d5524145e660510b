#include "fovea/text/normaliser.h"

#include "fovea/base/error.h"
#include "fovea/text/utf8.h"

namespace fovea::text {

Normaliser::Normaliser(const SentencePieceProto::Normaliser& spec, const PieceTrie* user_symbols,
                       std::string_view where)
    : charsmap_(spec.charsmap, where),
      user_symbols_(user_symbols != nullptr && !user_symbols->empty() ? user_symbols : nullptr),
      add_dummy_prefix_(spec.add_dummy_prefix),
      remove_extra_whitespaces_(spec.remove_extra_whitespaces),
      escape_whitespaces_(spec.escape_whitespaces),
      whitespace_as_suffix_(spec.treat_whitespace_as_suffix) {
  if (user_symbols_ == nullptr) return;
  for (unsigned byte = 0; byte < 256; ++byte)
    begins_symbol_[byte] = !user_symbols_->step(user_symbols_->root(), static_cast<char>(byte)).nowhere();
}

Normaliser::Prefix Normaliser::normalise_prefix(std::string_view text) const {
  const auto first = static_cast<unsigned char>(text[0]);
  if (begins_symbol_[first]) {
    const std::size_t length = user_symbols_->longest_prefix(text);
    if (length > 0) return {text.substr(0, length), length};
  }
  const bool rule_possible = text.size() == 1
                                 ? charsmap_.matches_alone(first)
                                 : charsmap_.may_match(first, static_cast<unsigned char>(text[1]));
  if (rule_possible) {
    const Charsmap::Match match = charsmap_.longest_match(text);
    if (match.length > 0) return {match.replacement, match.length};
  }
  const Decoded decoded = decode_utf8(text);
  if (!decoded.valid) return {replacement_utf8, 1};  // SentencePiece replaces byte by byte
  return {text.substr(0, decoded.length), decoded.length};
}

/// Bytes at the beginning of `text` that stay as they are: ASCII other than spaces that no rule or symbol
/// touches.
std::size_t Normaliser::plain_run(std::string_view text) const {
  std::size_t i = 0;
  for (; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte >= 128 || byte == ' ' || begins_symbol_[byte]) break;
    if (i + 1 == text.size() ? charsmap_.matches_alone(byte)
                             : charsmap_.may_match(byte, static_cast<unsigned char>(text[i + 1])))
      break;
  }
  return i;
}

void Normaliser::append_space(std::string& out) const {
  out.append(escape_whitespaces_ ? space_symbol : " ");
}

void Normaliser::append_escaped(std::string& out, std::string_view text) const {
  if (!escape_whitespaces_) {
    out.append(text);
    return;
  }
  for (const char c : text) {
    if (c == ' ')
      out.append(space_symbol);
    else
      out.push_back(c);
  }
}

std::string Normaliser::normalise(std::string_view text, std::vector<TextRange>* origins) const {
  std::string out;
  const std::size_t bytes = text.size();
  // The next `length` bytes of the text became what stands at the end of the result.
  const auto note = [&](std::size_t length) {
    const auto begin = static_cast<std::uint32_t>(bytes - text.size());
    if (origins) origins->resize(out.size(), {begin, begin + static_cast<std::uint32_t>(length)});
  };
  if (remove_extra_whitespaces_) {
    while (!text.empty()) {
      const Prefix prefix = normalise_prefix(text);
      if (prefix.replacement != " ") break;
      text.remove_prefix(prefix.length);
    }
  }
  if (text.empty()) return out;
  out.reserve(text.size() + text.size() / 2 + 16);
  if (add_dummy_prefix_ && !whitespace_as_suffix_) append_space(out);
  note(0);

  bool after_space = remove_extra_whitespaces_;
  while (!text.empty()) {
    if (const std::size_t run = plain_run(text); run > 0) {
      for (std::size_t i = 0; origins && i < run; ++i) {
        const auto at = static_cast<std::uint32_t>(bytes - text.size() + i);
        origins->push_back({at, at + 1});
      }
      out.append(text.substr(0, run));
      text.remove_prefix(run);
      after_space = false;
      continue;
    }
    const Prefix prefix = normalise_prefix(text);
    std::string_view piece = prefix.replacement;
    while (after_space && piece.starts_with(' ')) piece.remove_prefix(1);
    if (!piece.empty()) {
      append_escaped(out, piece);
      after_space = remove_extra_whitespaces_ && piece.ends_with(' ');
    }
    note(prefix.length);
    text.remove_prefix(prefix.length);
    if (out.size() > 0x7FFFFFFF) throw Error(Error::Kind::data, "tokenizer", "a line is longer than 2 GB");
  }

  if (remove_extra_whitespaces_) {
    const std::string_view space = escape_whitespaces_ ? space_symbol : " ";
    while (out.ends_with(space)) out.erase(out.size() - space.size());
  }
  if (add_dummy_prefix_ && whitespace_as_suffix_) append_space(out);
  note(0);
  return out;
}

}  // namespace fovea::text
