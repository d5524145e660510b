#pragma once

#include <span>
#include <string>
#include <vector>

#include "fovea/decoding/text_encoder.h"
#include "fovea/models/bert.h"

namespace fovea::cli {

/// Whether the model in `folder` labels each token: what its config.json says.
bool labels_words(const std::string& folder);

/// A word and the class that its first token was said to be of.
struct LabelledWord {
  std::string text;
  text::TextRange range;  ///< bytes of its text
  std::string label;
  float probability = 0.0f;
};

/// What a word is: as the tokenizer cuts texts first, or what stands between white space. Of the latter each
/// is given, one without a token, as beyond what the model reads, with no label.
enum class WordKind { tokenizers, spaced };

/// The words of each text; of a pair, those of both.
std::vector<std::vector<LabelledWord>> label_words(const ops::Context& ctx, const models::Bert& model,
                                                   std::span<const text::Encoding> encodings,
                                                   std::span<const decoding::InputText> texts,
                                                   WordKind kind = WordKind::tokenizers);

}  // namespace fovea::cli
