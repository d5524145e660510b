#include "fovea/decoding/text_stream.h"

#include <string_view>
#include <utility>

#include "fovea/decoding/line_parts.h"

namespace fovea::decoding {
namespace {

// Bytes of a character that is not whole are U+FFFD.
std::string without_broken_end(std::string text) {
  constexpr std::string_view replacement = "\xEF\xBF\xBD";
  while (text.ends_with(replacement)) text.resize(text.size() - replacement.size());
  return text;
}

}  // namespace

void TextStream::begin(std::vector<text::Chunk> parts) {
  parts_ = std::move(parts);
  part_ = 0;
  tokens_.clear();
  before_.clear();
  written_.clear();
  whole_.clear();
}

// The text of this part as it stands in the line.
std::string TextStream::joined(const std::string& text) const {
  std::string all = part_ > 0 ? std::string(text::between(before_, parts_[part_ - 1], text)) : std::string();
  return one_line(all + text);
}

// What of that has not been written.
std::string TextStream::fresh(const std::string& text) {
  std::string all = joined(text);
  if (all.size() <= written_.size() || !all.starts_with(written_)) return {};
  std::string fresh = all.substr(written_.size());
  written_ = std::move(all);
  whole_ += fresh;
  return fresh;
}

std::string TextStream::add(const StreamedToken& token) {
  std::string out;
  for (; part_ < token.part; ++part_) {
    std::string text = tokenizer_.decode_target(tokens_);
    out += fresh(text);
    before_ = std::move(text);
    tokens_.clear();
    written_.clear();
  }
  tokens_.push_back(token.token);
  const std::string text = without_broken_end(tokenizer_.decode_target(tokens_));
  return text.empty() ? out : out + fresh(text);
}

std::string TextStream::finish(const std::string& whole) {
  return whole.starts_with(whole_) ? whole.substr(whole_.size()) : "\n" + whole;
}

}  // namespace fovea::decoding
