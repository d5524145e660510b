#pragma once

#include "fovea/text/tokenizer.h"
#include "fovea/text/translation_tokenizer.h"

namespace fovea::text {

/// A translation model's pair of SentencePiece models as a Tokenizer: texts are of the source language,
/// encode_target() and decode() of the target language. A text ends in </s> if special tokens are asked for.
class MarianTokenizer final : public Tokenizer {
 public:
  explicit MarianTokenizer(TranslationTokenizer tokenizer);

  using Tokenizer::encode;
  Encoding encode(std::string_view text, const Options& options) const override;
  /// Both of the source language, one after the other, each with its </s>.
  Encoding encode_pair(std::string_view first, std::string_view second,
                       const Options& options) const override;
  Encoding encode_target(std::string_view text, const Options& options) const override;
  /// Spaces around the whole are dropped. Throws Error(data) for ids outside [0, size()).
  std::string decode(std::span<const std::int32_t> ids, bool skip_special = true) const override;

  std::int32_t size() const override { return tokenizer_.target_vocabulary().size(); }
  std::string piece(std::int32_t id) const override;
  std::int32_t find(std::string_view piece) const override {
    return tokenizer_.target_vocabulary().find(piece);
  }

 private:
  TranslationTokenizer tokenizer_;
};

}  // namespace fovea::text
