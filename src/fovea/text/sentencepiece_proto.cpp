#include "fovea/text/sentencepiece_proto.h"

#include <array>
#include <cmath>
#include <unordered_set>

#include "fovea/base/error.h"
#include "fovea/formats/protobuf.h"
#include "fovea/text/piece_trie.h"
#include "fovea/text/utf8.h"

namespace fovea::text {
namespace {

using formats::ProtobufReader;
using Proto = SentencePieceProto;

// The largest known models (250,000 pieces, a character map of 300 kB) are below 6 MB.
constexpr std::size_t max_bytes = 64u << 20;
constexpr std::size_t max_pieces = 4u << 20;
constexpr std::size_t max_piece_bytes = 8000;  // the limit of SentencePiece since 0.2.1
static_assert(max_pieces <= static_cast<std::size_t>(PieceTrie::max_value));

[[noreturn]] void fail(std::string_view where, const std::string& what) {
  throw Error(Error::Kind::model, where, what, "the SentencePiece model is damaged or of another kind");
}

std::string name_of(std::size_t id, const Proto::Piece& piece) {
  return "piece " + std::to_string(id) + " ('" + printable(piece.text, 40) + "')";
}

Proto::Piece parse_piece(ProtobufReader message, std::size_t id, std::string_view where) {
  Proto::Piece piece;
  while (message.next()) {
    switch (message.field()) {
      case 1:
        piece.text = message.bytes();
        break;
      case 2:
        piece.score = message.f32();
        break;
      case 3: {
        const std::uint64_t type = message.varint();
        if (type < 1 || type > 6)
          fail(where, "piece " + std::to_string(id) + " has the unknown type " + std::to_string(type));
        piece.type = static_cast<Proto::PieceType>(type);
        break;
      }
      default:
        break;
    }
  }
  return piece;
}

Proto::Trainer parse_trainer(ProtobufReader message, std::string_view where) {
  Proto::Trainer trainer;
  while (message.next()) {
    switch (message.field()) {
      case 3: {
        const std::uint64_t type = message.varint();
        if (type < 1 || type > 4) fail(where, "unknown model type " + std::to_string(type));
        trainer.type = static_cast<Proto::ModelType>(type);
        break;
      }
      case 24:
        trainer.treat_whitespace_as_suffix = message.boolean();
        break;
      case 35:
        trainer.byte_fallback = message.boolean();
        break;
      case 44:
        trainer.unk_surface = message.bytes();
        break;
      case 45:
        trainer.unk_piece = message.bytes();
        break;
      case 46:
        trainer.bos_piece = message.bytes();
        break;
      case 47:
        trainer.eos_piece = message.bytes();
        break;
      case 48:
        trainer.pad_piece = message.bytes();
        break;
      default:
        break;
    }
  }
  return trainer;
}

Proto::Normaliser parse_normaliser(ProtobufReader message) {
  Proto::Normaliser normaliser;
  while (message.next()) {
    switch (message.field()) {
      case 1:
        normaliser.name = message.bytes();
        break;
      case 2:
        normaliser.charsmap = message.bytes();
        break;
      case 3:
        normaliser.add_dummy_prefix = message.boolean();
        break;
      case 4:
        normaliser.remove_extra_whitespaces = message.boolean();
        break;
      case 5:
        normaliser.escape_whitespaces = message.boolean();
        break;
      default:
        break;
    }
  }
  return normaliser;
}

void parse_self_tests(ProtobufReader message, std::vector<Proto::SelfTest>& out) {
  while (message.next()) {
    if (message.field() != 1) continue;
    Proto::SelfTest test;
    for (ProtobufReader sample = message.message(); sample.next();) {
      if (sample.field() == 1) test.input = sample.bytes();
      if (sample.field() == 2) test.expected = sample.bytes();
    }
    out.push_back(test);
  }
}

void check_piece(const Proto::Piece& piece, std::size_t id, std::string_view where) {
  if (piece.text.empty()) fail(where, "piece " + std::to_string(id) + " is empty");
  if (piece.text.size() >= max_piece_bytes)
    fail(where, name_of(id, piece) + " is " + std::to_string(piece.text.size()) +
                    " bytes long, more than any real one");
  if (piece.text.find('\0') != std::string_view::npos) fail(where, name_of(id, piece) + " holds a NUL");
  if (!is_valid_utf8(piece.text)) fail(where, name_of(id, piece) + " is not valid UTF-8");
  if (!std::isfinite(piece.score)) fail(where, name_of(id, piece) + " has a score that is not a number");
}

void check_pieces(const Proto& proto, std::string_view where) {
  std::unordered_set<std::string_view> seen;
  seen.reserve(proto.pieces.size());
  std::array<bool, 256> bytes{};
  std::size_t byte_pieces = 0, unknown_pieces = 0;
  for (std::size_t id = 0; id < proto.pieces.size(); ++id) {
    const Proto::Piece& piece = proto.pieces[id];
    check_piece(piece, id, where);
    if (!seen.insert(piece.text).second) fail(where, name_of(id, piece) + " is there twice");
    unknown_pieces += piece.type == Proto::PieceType::unknown;
    if (piece.type != Proto::PieceType::byte) continue;
    const int byte = byte_of_piece(piece.text);
    if (byte < 0) fail(where, name_of(id, piece) + " has the type of a byte but is none of <0x00> to <0xFF>");
    if (!proto.trainer.byte_fallback)
      fail(where, name_of(id, piece) + " is a byte piece, but byte fallback is off");
    bytes[static_cast<std::size_t>(byte)] = true;
    ++byte_pieces;
  }
  if (unknown_pieces != 1)
    fail(where, std::to_string(unknown_pieces) + " unknown pieces (usually <unk>) where one is needed");
  if (proto.trainer.byte_fallback && byte_pieces != bytes.size())
    fail(where, "byte fallback is on, but " + std::to_string(byte_pieces) + " of 256 byte pieces are there");
}

}  // namespace

int byte_of_piece(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') return -1;
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
  };
  const int high = digit(piece[3]), low = digit(piece[4]);
  return high < 0 || low < 0 ? -1 : 16 * high + low;
}

SentencePieceProto parse_sentencepiece_proto(std::string_view bytes, std::string_view where) {
  if (bytes.empty()) fail(where, "empty");
  if (bytes.size() > max_bytes) fail(where, std::to_string(bytes.size()) + " bytes, more than any real one");
  Proto proto;
  for (ProtobufReader message(bytes, where); message.next();) {
    switch (message.field()) {
      case 1:
        if (proto.pieces.size() == max_pieces)
          fail(where, "more than " + std::to_string(max_pieces) + " pieces");
        proto.pieces.push_back(parse_piece(message.message(), proto.pieces.size(), where));
        break;
      case 2:
        proto.trainer = parse_trainer(message.message(), where);
        break;
      case 3:
        proto.normaliser = parse_normaliser(message.message());
        break;
      case 4:
        parse_self_tests(message.message(), proto.self_tests);
        break;
      case 5:
        proto.denormaliser = parse_normaliser(message.message());
        break;
      default:
        break;
    }
  }
  proto.normaliser.treat_whitespace_as_suffix = proto.trainer.treat_whitespace_as_suffix;
  if (proto.pieces.empty()) fail(where, "no pieces");
  check_pieces(proto, where);
  return proto;
}

}  // namespace fovea::text
