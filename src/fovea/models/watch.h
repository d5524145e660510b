#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "fovea/attention/record.h"
#include "fovea/models/bert.h"
#include "fovea/models/language_model.h"
#include "fovea/models/recurrent_classifier.h"
#include "fovea/models/translation_model.h"

namespace fovea::models {

/// More tokens than this on a side are refused: every layer and head takes a number for each pair.
inline constexpr std::size_t most_watched_tokens = 1024;

/// How tokens are written below pictures: the pieces of ids, one each.
using PieceNames = std::function<std::vector<std::string>(std::span<const std::int32_t>)>;

/// All that a model looks at while it reads a pair: every layer, every head. source ends in eos, target has
/// neither start nor eos; both are named by the functions given, the start symbol of the decoder "<s>".
/// What the model computes is the same to the bit whether it is watched or not.
/// Throws Error(usage) if a side has more tokens than most_watched_tokens or the model takes; Error(model)
/// if it has no attention, or weights come out that are no numbers.
attention::Recording watch(const ops::Context& ctx, const TranslationModel& model,
                           std::span<const std::int32_t> source, std::span<const std::int32_t> target,
                           const PieceNames& source_pieces, const PieceNames& target_pieces);

/// The same of a text of at least one token that a language model reads: every layer of its decoder.
attention::Recording watch(const ops::Context& ctx, const LanguageModel& model,
                           std::span<const std::int32_t> text, std::vector<std::string> pieces);
/// A text or two, as an encoder reads them.
struct WatchedText {
  std::span<const std::int32_t> tokens, types = {};
  std::vector<std::string> pieces = {};  ///< of the tokens, one each
  std::size_t second = 0;                ///< where the second text begins; 0: there is one
};
/// The same of texts that an encoder reads: every layer of it.
attention::Recording watch(const ops::Context& ctx, const Bert& model, WatchedText text);
/// What a classifier with attention pooling looked at: one row, which bears the name of the class it found.
/// Throws Error(model) if its pooling is a mean.
attention::Recording watch(const ops::Context& ctx, const RecurrentClassifier& model, WatchedText text);

}  // namespace fovea::models
