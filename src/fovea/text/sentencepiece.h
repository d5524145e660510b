#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/text/normaliser.h"
#include "fovea/text/sentencepiece_proto.h"

namespace fovea::text {

/// A SentencePiece model (unigram, BPE, words or characters): text to pieces and back. Reads the library's
/// files and gives its answers, piece for piece, but trusts nothing in the file. A handle: copies share the
/// model, which never changes, so that all functions may be called from many threads. Sources: Kudo and
/// Richardson 2018, "SentencePiece"; google/sentencepiece 0.1.97.
class SentencePieceModel {
 public:
  /// Reads a model from the bytes of its file. Throws Error(model) naming `where` for anything that does not
  /// hold together: the wire format, pieces, the character map.
  static SentencePieceModel parse(std::string bytes, std::string where);

  /// Ids of the pieces of `text`, any bytes: what is not UTF-8 counts as U+FFFD, byte by byte. Time linear in
  /// the text. Unknown characters become their bytes if the model has byte fallback, else runs of them one
  /// unknown id. Text of more than 2^20 characters without any point where the segmentation is certain is cut
  /// there.
  std::vector<std::int32_t> encode(std::string_view text) const;

  /// The pieces as text; an unknown one is the normalised text it stands for.
  std::vector<std::string> encode_pieces(std::string_view text) const;

  /// Pieces with their place in the normalised text. The bytes of an unknown character all have its place.
  struct Token {
    std::int32_t id;
    std::uint32_t begin, length;  ///< in bytes
  };
  struct Encoding {
    std::string normalised;
    std::vector<Token> tokens;
    std::string_view surface(const Token& token) const {
      return std::string_view(normalised).substr(token.begin, token.length);
    }
  };
  Encoding encode_with_places(std::string_view text) const;
  /// `ranges` receives, for each token, the bytes of `text` itself that it stands for, spaces aside: empty if
  /// it is nothing but spaces.
  Encoding encode_with_places(std::string_view text, std::vector<TextRange>& ranges) const;

  /// Text of pieces: control pieces vanish, the unknown piece becomes its surface (" \u2047 " by default),
  /// bytes become characters (U+FFFD where they make none), U+2581 a space. Throws Error(data) for an id
  /// outside [0, size()).
  std::string decode(std::span<const std::int32_t> ids) const;
  /// The same from pieces as text; one that this model does not have stays as it is.
  std::string decode_pieces(std::span<const std::string_view> pieces) const;

  std::int32_t size() const;
  std::string_view piece(std::int32_t id) const;    ///< throws Error(data) for an id outside [0, size())
  std::int32_t find(std::string_view piece) const;  ///< -1 if there is no such piece
  float score(std::int32_t id) const;               ///< throws Error(data) for an id outside [0, size())

  std::int32_t unk_id() const;
  std::int32_t bos_id() const;  ///< -1 if there is none, as for the others
  std::int32_t eos_id() const;
  std::int32_t pad_id() const;

  /// How it cuts text.
  using Kind = SentencePieceProto::ModelType;
  Kind kind() const;
  bool has_byte_fallback() const;
  std::string_view normaliser_name() const;  ///< nmt_nfkc, ... ; may be empty

  /// The samples a model file may carry to check its reader, and how many were encoded otherwise than they
  /// say.
  struct SelfTest {
    std::size_t samples = 0, failures = 0;
  };
  SelfTest self_test() const;

  /// The file, byte for byte.
  const std::string& bytes() const;

 private:
  struct Impl;
  explicit SentencePieceModel(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

  Encoding encode(std::string_view text, std::vector<TextRange>* origins) const;

  class Decoder;

  std::shared_ptr<const Impl> impl_;
};

}  // namespace fovea::text
