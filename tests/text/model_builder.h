#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "fovea/formats/protobuf.h"

namespace fovea::text::sample {

/// Numbers of SentencePiece's piece types.
enum Type : unsigned { normal = 1, unknown, control, user_defined, unused, byte };

/// Writes model files, broken ones too.
class ModelBuilder {
 public:
  ModelBuilder& piece(std::string_view text, float score = 0.0f, unsigned type = normal) {
    formats::ProtobufWriter piece;
    piece.bytes(1, text);
    piece.f32(2, score);
    piece.varint(3, type);
    model_.message(1, piece);
    return *this;
  }
  ModelBuilder& bytes_pieces() {
    for (int i = 0; i < 256; ++i) {
      static constexpr char digits[] = "0123456789ABCDEF";
      piece(std::string("<0x") + digits[i / 16] + digits[i % 16] + ">", 0.0f, byte);
    }
    return *this;
  }
  /// A flag or number of the trainer's settings.
  ModelBuilder& trainer(std::uint32_t field, std::uint64_t value) {
    trainer_.varint(field, value);
    return *this;
  }
  ModelBuilder& bpe() { return trainer(3, 2); }
  ModelBuilder& charsmap(std::string_view blob) {
    normaliser_.bytes(2, blob);
    return *this;
  }
  ModelBuilder& self_test(std::string_view input, std::string_view expected) {
    formats::ProtobufWriter test;
    test.bytes(1, input);
    test.bytes(2, expected);
    tests_.message(1, test);
    return *this;
  }
  std::string build() const {
    formats::ProtobufWriter model = model_;
    model.message(2, trainer_);
    model.message(3, normaliser_);
    if (!tests_.str().empty()) model.message(4, tests_);
    return std::move(model).str();
  }
  /// Ids 0 to 7: `</s>`, `<unk>`, `<pad>`, then some pieces.
  static ModelBuilder small() {
    ModelBuilder builder;
    builder.piece("</s>", 0, control).piece("<unk>", 0, unknown).piece("<pad>", 0, control);
    builder.piece("\xE2\x96\x81", -3)
        .piece("a", -2)
        .piece("b", -2.5f)
        .piece("ab", -1)
        .piece(
            "\xE2\x96\x81"
            "ab",
            -1.5f);
    return builder;
  }

 private:
  formats::ProtobufWriter model_, trainer_, normaliser_, tests_;
};

/// The file image of a character map: units of its double array, then replacements.
inline std::string charsmap_blob(const std::vector<std::uint32_t>& units, std::string_view replacements) {
  std::string out;
  const auto put = [&](std::uint32_t value) {
    for (int i = 0; i < 4; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
  };
  put(static_cast<std::uint32_t>(4 * units.size()));
  for (const std::uint32_t unit : units) put(unit);
  return out.append(replacements);
}

/// 256 units with the one rule "a" -> the replacement at `offset`: root -> unit 0x60 -> its value at 0x62.
inline std::vector<std::uint32_t> one_rule(std::uint32_t offset = 0) {
  std::vector<std::uint32_t> units(256, 0);
  units[0] = 1u << 10;
  units[0x60] = 2u << 10 | 1u << 8 | 'a';
  units[0x62] = 0x80000000u | offset;
  return units;
}

}  // namespace fovea::text::sample
