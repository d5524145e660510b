#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/text/encoding.h"

namespace fovea::text {

/// What a model's files say about its tokens with a meaning of their own; -1 = none.
struct SpecialIds {
  std::int32_t bos = -1, eos = -1, unk = -1, sep = -1, pad = -1, cls = -1, mask = -1;
};

/// Text to ids and back, whatever the model's files are. All functions may be called from many threads.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  struct Options {
    bool add_special = true;  ///< put what the model expects around texts: [CLS], </s>, ...
    bool ranges =
        true;  ///< say which bytes each token stands for; without it they are empty, and it is faster
  };

  /// The tokens of a text, any bytes: what is not UTF-8 is read as U+FFFD. Throws Error(data) for what the
  /// model cannot take: 2^31 bytes, or a character that has neither a token nor an unknown token.
  virtual Encoding encode(std::string_view text, const Options& options) const = 0;
  Encoding encode(std::string_view text) const { return encode(text, Options{}); }
  /// The tokens of two texts that belong together; ranges are of bytes of either.
  virtual Encoding encode_pair(std::string_view first, std::string_view second,
                               const Options& options) const = 0;
  /// What a sequence-to-sequence model is to say, where that has tokens of its own; else as encode().
  virtual Encoding encode_target(std::string_view text, const Options& options) const {
    return encode(text, options);
  }

  /// The text of ids; ids without a piece are skipped, and with `skip_special` those of special tokens, too.
  virtual std::string decode(std::span<const std::int32_t> ids, bool skip_special = true) const = 0;

  /// Largest id + 1.
  virtual std::int32_t size() const = 0;
  /// The piece of an id as the vocabulary has it; empty if there is none.
  virtual std::string piece(std::int32_t id) const = 0;
  /// The id of a piece; -1 if there is none.
  virtual std::int32_t find(std::string_view piece) const = 0;

  const SpecialIds& special() const { return special_; }
  /// Tokens the model takes; 0 if the files say nothing, or a number beyond all bounds.
  std::size_t max_length() const { return max_length_; }

 protected:
  SpecialIds special_;
  std::size_t max_length_ = 0;
};

}  // namespace fovea::text
