#include "fovea/decoding/line_parts.h"

#include <algorithm>

namespace fovea::decoding {

std::vector<text::Chunk> line_parts(std::string_view line, std::size_t tokens,
                                    const text::TranslationTokenizer& tokenizer, std::int64_t most) {
  const auto limit = static_cast<std::size_t>(std::max<std::int64_t>(2, most));
  const auto count = [&](std::string_view text) { return tokenizer.encode_source(text).size(); };
  std::vector<text::Chunk> parts;
  if (tokens > limit) parts = text::split_into_chunks(line, limit, count);
  if (parts.empty()) parts.push_back({line, {}});
  return parts;
}

std::string one_line(std::string text) {
  for (char& c : text)
    if (c == '\n' || c == '\r' || c == '\0') c = ' ';
  return text;
}

}  // namespace fovea::decoding
