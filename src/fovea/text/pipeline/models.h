#pragma once

#include <array>
#include <optional>

#include "fovea/text/pipeline/model.h"

/// The kinds of model, each made of its JSON.
namespace fovea::text::pipeline {

std::unique_ptr<const Model> make_word_level(const formats::Json& json);
std::unique_ptr<const Model> make_word_piece(const formats::Json& json);
std::unique_ptr<const Model> make_byte_pairs(const formats::Json& json);
std::unique_ptr<const Model> make_unigram(const formats::Json& json);

/// The id of the unknown token that `json` names; throws Error(model) if the vocabulary does not have it.
std::int32_t unknown_id(const formats::Json& json, const PieceTable& pieces);

/// The ids of <0x00> to <0xFF>, -1 where one is missing.
std::array<std::int32_t, 256> byte_pieces(const PieceTable& pieces);

[[noreturn]] void refuse_unknown(std::string_view character);

}  // namespace fovea::text::pipeline
