#include "fovea/decoding/text_stream.h"

#include <string_view>
#include <utility>

namespace fovea::decoding {

std::string TextStream::add(std::int32_t token) {
  constexpr std::string_view replacement = "\xEF\xBF\xBD";  // U+FFFD: bytes of a character that is not whole
  tokens_.push_back(token);
  std::string text = tokenizer_.decode_target(tokens_);
  while (text.ends_with(replacement)) text.resize(text.size() - replacement.size());
  for (char& c : text)
    if (c == '\n' || c == '\r' || c == '\0') c = ' ';
  if (text.size() <= written_.size() || !text.starts_with(written_)) return {};
  std::string fresh = text.substr(written_.size());
  written_ = std::move(text);
  return fresh;
}

std::string TextStream::finish(const std::string& whole) {
  std::string rest = whole.starts_with(written_) ? whole.substr(written_.size()) : "\n" + whole;
  tokens_.clear();
  written_.clear();
  return rest;
}

}  // namespace fovea::decoding
