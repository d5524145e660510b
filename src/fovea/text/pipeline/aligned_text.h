#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/text/normaliser.h"

namespace fovea::text::pipeline {

/// A text that is changed step by step, and which bytes of the original each byte stands for by now.
/// Always UTF-8: what is none in the original is read as U+FFFD, one for each maximal subpart.
class AlignedText {
 public:
  /// With `tracks` the way back to the original is kept; without it origin() must not be called. Throws
  /// Error(data) if the original has 2^31 bytes or more.
  AlignedText(std::string_view original, bool tracks);

  std::string_view text() const { return text_; }
  std::size_t size() const { return text_.size(); }
  bool tracks() const { return tracks_; }

  /// The bytes of the original from where the first byte of [begin, end) begins to where the last one ends.
  /// An empty range stands for nothing.
  TextRange origin(std::size_t begin, std::size_t end) const;

  /// Bytes [begin, end) of it, which know their way back, too.
  AlignedText part(std::size_t begin, std::size_t end) const;
  /// Puts `other` behind it, a text of the same original.
  void append(const AlignedText& other);

  /// For changes that put one byte for one byte, each a character of its own before and after.
  std::string& bytes() { return text_; }

 private:
  friend class Rewriter;
  AlignedText(std::string text, std::vector<TextRange> origins, bool tracks)
      : text_(std::move(text)), origins_(std::move(origins)), tracks_(tracks) {}
  TextRange origin_of(std::size_t byte) const;

  std::string text_;
  std::vector<TextRange> origins_;  // of each byte; empty while the text is the original
  bool tracks_;
};

/// Writes the next version of a text, from left to right; finish() puts it in the old one's place.
class Rewriter {
 public:
  explicit Rewriter(AlignedText& text);

  std::string_view old() const { return text_.text_; }
  std::size_t written() const { return out_.size(); }
  /// Bytes [begin, end) of the old text as they are.
  void copy(std::size_t begin, std::size_t end);
  /// `bytes`, which stand for what byte `at` of the old text stands for; for nothing if `at` is npos.
  void put(std::string_view bytes, std::size_t at);
  void put(char32_t character, std::size_t at);
  /// Throws Error(data) if the new text has 2^31 bytes or more.
  void finish();

  static constexpr std::size_t nowhere = std::string_view::npos;

 private:
  AlignedText& text_;
  std::string out_;
  std::vector<TextRange> origins_;
};

/// Writes the next version of a text character by character, each said to take the place of so many old ones:
/// with `change` 0 of the next one, with -n of the next and the n after it, with 1 of none: then it stands
/// for what the old character before stands for. A new character stands for what the first old one it takes
/// the place of stands for. Source: huggingface/tokenizers, NormalizedString::transform.
class ChangeWriter {
 public:
  explicit ChangeWriter(AlignedText& text) : out_(text) {}
  std::string_view old() const { return out_.old(); }
  void add(char32_t character, int change);
  /// Old bytes up to `end`, from where the characters added so far have come to, as they are.
  void copy_until(std::size_t end);
  void finish() { out_.finish(); }

 private:
  Rewriter out_;
  std::size_t reading_ = 0;  // the next old character
};

}  // namespace fovea::text::pipeline
