#include "fovea/text/whole_segmenters.h"

#include <algorithm>

#include "fovea/text/normaliser.h"
#include "fovea/text/utf8.h"

namespace fovea::text {

WholePieces::WholePieces(const SentencePieceProto& proto, std::int32_t unk) : unk_(unk) {
  using Type = SentencePieceProto::PieceType;
  for (std::size_t i = 0; i < proto.pieces.size(); ++i) {
    const auto& piece = proto.pieces[i];
    if (piece.type == Type::normal || piece.type == Type::user_defined)
      ids_.emplace(piece.text, static_cast<std::int32_t>(i));
  }
}

std::int32_t WholePieces::id(std::string_view piece) const {
  const auto found = ids_.find(piece);
  return found == ids_.end() ? unk_ : found->second;
}

void CharacterSegmenter::segment(std::string_view text, std::vector<Segment>& out) const {
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view rest = text.substr(at);
    std::size_t length = symbols_.longest_prefix(rest);
    if (length == 0) length = std::min<std::size_t>(claimed_length(rest[0]), rest.size());
    out.push_back({pieces_.id(rest.substr(0, length)), static_cast<std::uint32_t>(at),
                   static_cast<std::uint32_t>(length)});
    at += length;
  }
}

void WordSegmenter::segment(std::string_view text, std::vector<Segment>& out) const {
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(space_symbol, begin + 1), text.size());
    out.push_back({pieces_.id(text.substr(begin, end - begin)), static_cast<std::uint32_t>(begin),
                   static_cast<std::uint32_t>(end - begin)});
    begin = end;
  }
}

}  // namespace fovea::text
