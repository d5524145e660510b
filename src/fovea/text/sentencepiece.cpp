#include "fovea/text/sentencepiece.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_map>

#include "fovea/base/error.h"
#include "fovea/text/bpe.h"
#include "fovea/text/normaliser.h"
#include "fovea/text/sentencepiece_proto.h"
#include "fovea/text/unigram.h"
#include "fovea/text/utf8.h"
#include "fovea/text/whole_segmenters.h"

namespace fovea::text {

using PieceType = SentencePieceProto::PieceType;
using ModelType = SentencePieceProto::ModelType;

namespace {

/// The least range that holds both.
TextRange joined(TextRange a, TextRange b) {
  if (a.empty()) return b;
  if (b.empty()) return a;
  return {std::min(a.begin, b.begin), std::max(a.end, b.end)};
}

}  // namespace

struct SentencePieceModel::Impl {
  Impl(std::string file, std::string_view where);

  PieceType type(std::int32_t id) const { return proto.pieces[static_cast<std::size_t>(id)].type; }
  std::unique_ptr<Segmenter> make_segmenter() const;
  std::string_view piece(std::int32_t id) const;
  std::int32_t find(std::string_view piece) const;
  std::int32_t find_control(std::string_view piece) const;
  double path_score(std::string_view pieces) const;
  SelfTest run_self_test(const SentencePieceModel& model) const;

  std::string bytes;
  SentencePieceProto proto;  // views into bytes
  std::unordered_map<std::string_view, std::int32_t> ids;
  std::array<std::int32_t, 256> byte_ids{};  // with byte fallback
  std::int32_t unk = -1, bos = -1, eos = -1, pad = -1;
  PieceTrie user_symbols;
  Normaliser normaliser, denormaliser;
  bool denormalises = false;
  std::unique_ptr<Segmenter> segmenter;
  SelfTest self_test;
};

SentencePieceModel::Impl::Impl(std::string file, std::string_view where) : bytes(std::move(file)) {
  proto = parse_sentencepiece_proto(bytes, where);
  const auto& trainer = proto.trainer;
  std::vector<std::pair<std::string_view, std::int32_t>> symbols;
  ids.reserve(proto.pieces.size());
  for (std::size_t i = 0; i < proto.pieces.size(); ++i) {
    const auto& piece = proto.pieces[i];
    const auto id = static_cast<std::int32_t>(i);
    ids.emplace(piece.text, id);
    if (piece.type == PieceType::unknown) unk = id;
    if (piece.type == PieceType::user_defined) symbols.emplace_back(piece.text, id);
    if (piece.type == PieceType::byte) byte_ids[static_cast<std::size_t>(byte_of_piece(piece.text))] = id;
  }
  bos = find_control(trainer.bos_piece);
  eos = find_control(trainer.eos_piece);
  pad = find_control(trainer.pad_piece);
  user_symbols = PieceTrie(std::move(symbols));
  normaliser = Normaliser(proto.normaliser, &user_symbols, where);
  denormalises = !proto.denormaliser.charsmap.empty();
  if (denormalises) denormaliser = Normaliser(proto.denormaliser, nullptr, where);
  segmenter = make_segmenter();
}

std::unique_ptr<Segmenter> SentencePieceModel::Impl::make_segmenter() const {
  switch (proto.trainer.type) {
    case ModelType::bpe:
      return std::make_unique<BpeSegmenter>(proto, &user_symbols, unk);
    case ModelType::word:
      return std::make_unique<WordSegmenter>(proto, unk);
    case ModelType::chars:
      return std::make_unique<CharacterSegmenter>(proto, &user_symbols, unk);
    case ModelType::unigram:
      break;
  }
  return std::make_unique<UnigramSegmenter>(proto, unk);
}

std::string_view SentencePieceModel::Impl::piece(std::int32_t id) const {
  if (id < 0 || static_cast<std::size_t>(id) >= proto.pieces.size())
    throw Error(Error::Kind::data, "tokenizer",
                "id " + std::to_string(id) + " in a vocabulary of " + std::to_string(proto.pieces.size()));
  return proto.pieces[static_cast<std::size_t>(id)].text;
}

std::int32_t SentencePieceModel::Impl::find(std::string_view piece) const {
  const auto found = ids.find(piece);
  return found == ids.end() ? -1 : found->second;
}

std::int32_t SentencePieceModel::Impl::find_control(std::string_view piece) const {
  const std::int32_t id = find(piece);
  return id >= 0 && type(id) == PieceType::control ? id : -1;
}

/// Sum of scores of pieces separated by spaces.
double SentencePieceModel::Impl::path_score(std::string_view pieces) const {
  const auto& unigram = static_cast<const UnigramSegmenter&>(*segmenter);
  double sum = 0.0;
  while (!pieces.empty()) {
    const std::size_t end = std::min(pieces.find(' '), pieces.size());
    const std::int32_t id = find(pieces.substr(0, end));
    sum += unigram.score(id < 0 ? unk : id);
    pieces.remove_prefix(std::min(end + 1, pieces.size()));
  }
  return sum;
}

/// A sample holds if the pieces are those expected or, for unigram, another path of the same score: ties may
/// fall otherwise in another version of the library.
SentencePieceModel::SelfTest SentencePieceModel::Impl::run_self_test(const SentencePieceModel& model) const {
  SelfTest result;
  for (const auto& test : proto.self_tests) {
    std::string found;
    for (const std::string& piece : model.encode_pieces(test.input))
      found.append(found.empty() ? "" : " ").append(piece);
    const bool same =
        found == test.expected ||
        (model.kind() == Kind::unigram && std::abs(path_score(found) - path_score(test.expected)) < 1e-4);
    ++result.samples;
    result.failures += !same;
  }
  return result;
}

SentencePieceModel SentencePieceModel::parse(std::string bytes, std::string where) {
  auto impl = std::make_shared<Impl>(std::move(bytes), where);
  const SentencePieceModel model(impl);
  impl->self_test = impl->run_self_test(model);
  return model;
}

SentencePieceModel::Encoding SentencePieceModel::encode(std::string_view text,
                                                        std::vector<TextRange>* origins) const {
  Encoding out;
  out.normalised = impl_->normaliser.normalise(text, origins);
  std::vector<Segment> segments;
  segments.reserve(out.normalised.size() / 3 + 4);
  impl_->segmenter->segment(out.normalised, segments);
  out.tokens.reserve(segments.size());
  bool after_unknown = false;
  for (const Segment& segment : segments) {
    const bool unknown = segment.id == impl_->unk;
    if (unknown && has_byte_fallback()) {
      for (std::uint32_t i = 0; i < segment.length; ++i) {
        const auto byte = static_cast<unsigned char>(out.normalised[segment.begin + i]);
        out.tokens.push_back({impl_->byte_ids[byte], segment.begin, segment.length});
      }
    } else if (unknown && after_unknown) {
      out.tokens.back().length += segment.length;
    } else {
      out.tokens.push_back({segment.id, segment.begin, segment.length});
    }
    after_unknown = unknown;
  }
  return out;
}

SentencePieceModel::Encoding SentencePieceModel::encode_with_places(std::string_view text) const {
  return encode(text, nullptr);
}

SentencePieceModel::Encoding SentencePieceModel::encode_with_places(std::string_view text,
                                                                    std::vector<TextRange>& ranges) const {
  std::vector<TextRange> origins;
  Encoding out = encode(text, &origins);
  ranges.assign(out.tokens.size(), {});
  for (std::size_t i = 0; i < out.tokens.size(); ++i) {
    const Token token = out.tokens[i];
    for (std::uint32_t at = token.begin; at < token.begin + token.length;) {
      const std::string_view rest = std::string_view(out.normalised).substr(at);
      const std::size_t space = rest.starts_with(space_symbol) ? space_symbol.size() : rest[0] == ' ';
      if (space == 0) ranges[i] = joined(ranges[i], origins[at]);
      at += static_cast<std::uint32_t>(std::max<std::size_t>(space, 1));
    }
  }
  return out;
}

std::vector<std::int32_t> SentencePieceModel::encode(std::string_view text) const {
  const Encoding encoding = encode_with_places(text);
  std::vector<std::int32_t> ids(encoding.tokens.size());
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = encoding.tokens[i].id;
  return ids;
}

std::vector<std::string> SentencePieceModel::encode_pieces(std::string_view text) const {
  const Encoding encoding = encode_with_places(text);
  std::vector<std::string> pieces;
  pieces.reserve(encoding.tokens.size());
  for (const Token& token : encoding.tokens)
    pieces.emplace_back(token.id == impl_->unk ? encoding.surface(token) : impl_->piece(token.id));
  return pieces;
}

/// Puts pieces together again, one after the other.
class SentencePieceModel::Decoder {
 public:
  explicit Decoder(const Impl& model) : model_(model) {}

  void add(std::string_view piece, PieceType type) {
    if (type == PieceType::byte) {
      bytes_.push_back(static_cast<char>(byte_of_piece(piece)));
      return;
    }
    flush_bytes();
    if (stripped_ || !out_.empty()) at_beginning_ = false;
    stripped_ = false;
    if (type == PieceType::control) return;
    if (type == PieceType::unknown) {
      out_.append(piece);
      return;
    }
    // The space before the text is dropped; where runs of spaces are dropped, all that come before any text.
    const auto& normaliser = model_.proto.normaliser;
    const bool strips = normaliser.add_dummy_prefix || normaliser.remove_extra_whitespaces;
    if (at_beginning_ && strips && piece.starts_with(space_symbol)) {
      piece.remove_prefix(space_symbol.size());
      stripped_ = !normaliser.remove_extra_whitespaces;
    }
    append_with_spaces(piece);
  }

  std::string finish() {
    flush_bytes();
    return model_.denormalises ? model_.denormaliser.normalise(out_) : std::move(out_);
  }

 private:
  void flush_bytes() {
    for (std::string_view rest = bytes_; !rest.empty();) {
      const Decoded decoded = decode_utf8(rest);
      const std::size_t length = decoded.valid ? decoded.length : 1;  // SentencePiece replaces byte by byte
      out_.append(decoded.valid ? rest.substr(0, length) : replacement_utf8);
      rest.remove_prefix(length);
    }
    bytes_.clear();
  }

  void append_with_spaces(std::string_view piece) {
    for (std::size_t at; (at = piece.find(space_symbol)) != std::string_view::npos;) {
      out_.append(piece.substr(0, at)).push_back(' ');
      piece.remove_prefix(at + space_symbol.size());
    }
    out_.append(piece);
  }

  const Impl& model_;
  std::string out_, bytes_;  // text so far; bytes that follow it and are not yet characters
  bool at_beginning_ = true, stripped_ = false;
};

std::string SentencePieceModel::decode(std::span<const std::int32_t> ids) const {
  Decoder decoder(*impl_);
  for (const std::int32_t id : ids) {
    const std::string_view piece = impl_->piece(id);
    const PieceType type = impl_->type(id);
    decoder.add(type == PieceType::unknown ? impl_->proto.trainer.unk_surface : piece, type);
  }
  return decoder.finish();
}

std::string SentencePieceModel::decode_pieces(std::span<const std::string_view> pieces) const {
  Decoder decoder(*impl_);
  for (const std::string_view piece : pieces) {
    const std::int32_t id = impl_->find(piece);
    const PieceType type = id < 0 ? PieceType::unknown : impl_->type(id);
    decoder.add(id == impl_->unk ? impl_->proto.trainer.unk_surface : piece, type);
  }
  return decoder.finish();
}

std::int32_t SentencePieceModel::size() const {
  return static_cast<std::int32_t>(impl_->proto.pieces.size());
}
std::string_view SentencePieceModel::piece(std::int32_t id) const { return impl_->piece(id); }
std::int32_t SentencePieceModel::find(std::string_view piece) const { return impl_->find(piece); }
float SentencePieceModel::score(std::int32_t id) const {
  impl_->piece(id);
  return impl_->proto.pieces[static_cast<std::size_t>(id)].score;
}
std::int32_t SentencePieceModel::unk_id() const { return impl_->unk; }
std::int32_t SentencePieceModel::bos_id() const { return impl_->bos; }
std::int32_t SentencePieceModel::eos_id() const { return impl_->eos; }
std::int32_t SentencePieceModel::pad_id() const { return impl_->pad; }
SentencePieceModel::Kind SentencePieceModel::kind() const { return impl_->proto.trainer.type; }
bool SentencePieceModel::has_byte_fallback() const { return impl_->proto.trainer.byte_fallback; }
std::string_view SentencePieceModel::normaliser_name() const { return impl_->proto.normaliser.name; }
SentencePieceModel::SelfTest SentencePieceModel::self_test() const { return impl_->self_test; }
const std::string& SentencePieceModel::bytes() const { return impl_->bytes; }

}  // namespace fovea::text
