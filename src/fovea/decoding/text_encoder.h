#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/models/text_classifier.h"
#include "fovea/text/tokenizer.h"

namespace fovea::decoding {

/// A text, or two that belong together.
struct InputText {
  std::string text;
  std::optional<std::string> second = {};
};

/// Texts as a model without a decoder reads them.
class TextEncoder {
 public:
  /// For a model of so many tokens, of which a text may have `max_tokens`; longer ones are cut
  /// (text::shorten), to `limit` if that is given, else to what the tokenizer's files say, if that is less.
  /// Throws Error(model) naming `where` if the tokenizer knows more tokens than the model.
  TextEncoder(std::shared_ptr<const text::Tokenizer> tokenizer, std::int64_t vocabulary,
              std::int64_t max_tokens, std::string_view where, std::int64_t limit = 0);

  /// Empty only for a text without words, of a tokenizer that puts nothing around texts: no model reads that.
  text::Encoding encode(const InputText& text) const;

  const text::Tokenizer& tokenizer() const { return *tokenizer_; }
  std::int64_t max_tokens() const { return max_tokens_; }
  std::int64_t cut() const { return cut_; }  ///< texts that were

 private:
  std::shared_ptr<const text::Tokenizer> tokenizer_;
  std::int64_t max_tokens_;
  mutable std::int64_t cut_ = 0;
};

/// Encodings one after another, and which of the texts these are.
struct PackedTexts {
  std::vector<std::int32_t> tokens, types, start{0};
  std::size_t first = 0;

  models::TextBatch batch() const { return {tokens, types, start}; }
  std::size_t size() const { return start.size() - 1; }
};

/// All texts in batches of at most `batch_tokens`, a longer one alone, in order. What a model says of a text
/// does not depend on the others.
void for_each_batch(std::span<const text::Encoding> texts, std::int64_t batch_tokens,
                    const std::function<void(const PackedTexts&)>& run);

/// Probabilities of the classes of each text.
std::vector<std::vector<float>> classify(const ops::Context& ctx, const models::TextClassifier& model,
                                         std::span<const text::Encoding> texts,
                                         std::int64_t batch_tokens = 4096);

/// The numbers of the greatest `count`, greatest first, the first of equals first.
std::vector<std::size_t> greatest(std::span<const float> values, std::size_t count);

}  // namespace fovea::decoding
