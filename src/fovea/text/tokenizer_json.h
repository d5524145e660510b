#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "fovea/text/tokenizer.h"

namespace fovea::text {

/// A tokenizer of Hugging Face's `tokenizers` library: what a tokenizer.json describes, with the ids, ranges
/// and texts that library gives (0.23). A text goes through
///   added tokens cut out -> normaliser -> added tokens again -> pre-tokenizer -> model -> truncation
///   -> post-processor -> padding
/// and ids back through the decoder. docs/tokenizers.md lists the parts and where we differ.
class TokenizerJson final : public Tokenizer {
 public:
  /// Reads a tokenizer from the bytes of its file. Throws Error(model) naming `where` and the place in it: no
  /// JSON, beyond the limits, a part of a type that is not there, or one that does not hold together.
  static std::shared_ptr<TokenizerJson> parse(std::string_view json, const std::string& where);
  ~TokenizerJson() override;

  using Tokenizer::encode;
  Encoding encode(std::string_view text, const Options& options) const override;
  Encoding encode_pair(std::string_view first, std::string_view second,
                       const Options& options) const override;
  /// Each text alone, filled up to the same length if the file asks for padding.
  std::vector<Encoding> encode_batch(std::span<const std::string_view> texts, const Options& options) const;
  std::string decode(std::span<const std::int32_t> ids, bool skip_special = true) const override;

  std::int32_t size() const override;
  std::string piece(std::int32_t id) const override;
  std::int32_t find(std::string_view piece) const override;

  /// What the file says; nothing: texts are not cut, or not filled up.
  const std::optional<Truncation>& truncation() const;
  const std::optional<Padding>& padding() const;
  /// In place of what the file says.
  void set_truncation(const std::optional<Truncation>& truncation);
  void set_padding(const std::optional<Padding>& padding);
  void set_special(const SpecialIds& special) { special_ = special; }
  void set_max_length(std::size_t tokens) { max_length_ = tokens; }

 private:
  struct Impl;
  explicit TokenizerJson(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fovea::text
