#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/text/tokenizer.h"
#include "fovea/text/vocabulary.h"

namespace fovea::text {

/// A tokenizer of any kind, tokenizer.json above all, for both sides of a model that writes text for text:
/// T5, BART, mBART, NLLB. Source and target share it. Thread-safe.
class AnyText {
 public:
  /// Throws Error(model) naming file and fault, or the token that such a model needs: `</s>`, `<unk>`,
  /// `<pad>`.
  static std::shared_ptr<const AnyText> read(const std::filesystem::path& directory);
  /// Whether a directory has such a tokenizer.
  static bool is_in(const std::filesystem::path& directory);

  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const Vocabulary& vocabulary() const { return vocabulary_; }
  /// What the tokenizer was read from, by name.
  const std::map<std::string, std::string>& files() const { return files_; }

  /// Ids and ranges of a text, nothing put around it.
  Encoding tokens(std::string_view text) const { return tokenizer_->encode(text, {.add_special = false}); }
  /// With what its file puts around it, and `</s>` at the end in any case.
  Encoding framed(std::string_view text) const;
  /// Special tokens are left out, and words put in the place of each `<unk>`, in order.
  std::string decode(std::span<const std::int32_t> ids, std::span<const std::string> unknown) const;
  /// Pieces as people read them, U+2581 for a space.
  std::vector<std::string> pieces(std::span<const std::int32_t> ids) const;

 private:
  AnyText(std::shared_ptr<const Tokenizer> tokenizer, std::map<std::string, std::string> files,
          const std::string& where);

  std::shared_ptr<const Tokenizer> tokenizer_;
  Vocabulary vocabulary_;
  std::map<std::string, std::string> files_;
};

}  // namespace fovea::text
