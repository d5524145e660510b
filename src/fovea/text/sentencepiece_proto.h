#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fovea::text {

/// What a SentencePiece model file says, as far as encoding and decoding need it; names and defaults as in
/// google/sentencepiece, src/sentencepiece_model.proto. Views point into the bytes parsed.
struct SentencePieceProto {
  enum class PieceType { normal = 1, unknown, control, user_defined, unused, byte };
  enum class ModelType { unigram = 1, bpe, word, chars };

  struct Piece {
    std::string_view text;
    float score = 0.0f;
    PieceType type = PieceType::normal;
  };

  struct Trainer {
    ModelType type = ModelType::unigram;
    bool treat_whitespace_as_suffix = false;
    bool byte_fallback = false;
    std::string_view unk_surface = " \xE2\x81\x87 ";
    std::string_view unk_piece = "<unk>", bos_piece = "<s>", eos_piece = "</s>", pad_piece = "<pad>";
  };

  struct Normaliser {
    std::string_view name;
    std::string_view charsmap;
    bool add_dummy_prefix = true;
    bool remove_extra_whitespaces = true;
    bool escape_whitespaces = true;
    bool treat_whitespace_as_suffix = false;  ///< of the trainer, for the normaliser alone
  };

  struct SelfTest {
    std::string_view input, expected;
  };

  std::vector<Piece> pieces;
  Trainer trainer;
  Normaliser normaliser, denormaliser;
  std::vector<SelfTest> self_tests;
};

/// Parses and checks a model file on its own: wire format, pieces neither empty nor long nor doubled, valid
/// UTF-8, finite scores, known types, one unknown piece, byte pieces all there if and only if byte fallback
/// is on. Throws Error(model) naming `where`.
SentencePieceProto parse_sentencepiece_proto(std::string_view bytes, std::string_view where);

/// The byte that a piece such as "<0x0A>" stands for, or -1: two upper-case hexadecimal digits and nothing
/// else.
int byte_of_piece(std::string_view piece);

}  // namespace fovea::text
