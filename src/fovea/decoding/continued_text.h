#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/text/tokenizer.h"

namespace fovea::decoding {

/// The text of tokens that go on from those of a prompt, as they come: a token at a time in time that does
/// not grow with the text. Special tokens have none.
class ContinuedText {
 public:
  /// The tokenizer must outlive it.
  ContinuedText(const text::Tokenizer& tokenizer, std::span<const std::int32_t> prompt);

  /// What is sure with one more token: a character that lacks bytes waits for them.
  std::string add(std::int32_t token);
  /// What still waits; bytes that are no character as U+FFFD.
  std::string finish();

 private:
  std::string fresh(std::string text);

  const text::Tokenizer& tokenizer_;
  std::vector<std::int32_t> tokens_;  // the last ones
  std::size_t said_;                  // of these, the text of which has been given; the others wait
  std::string said_text_;             // of those
};

/// Strings that end a text: the first to be whole ends it, and of those that are whole at once the longest.
class StopStrings {
 public:
  StopStrings() = default;
  /// Throws Error(usage) if one is empty or not UTF-8.
  explicit StopStrings(std::vector<std::string> strings);

  bool empty() const { return strings_.empty(); }
  const std::string& operator[](std::size_t i) const { return strings_[i]; }
  std::size_t longest() const { return longest_; }  ///< bytes

  struct Found {
    std::size_t begin, which;
  };
  std::optional<Found> find(std::string_view text) const;
  /// How many bytes at the end of a text without a stop string may yet become one.
  std::size_t open_end(std::string_view text) const;

 private:
  std::vector<std::string> strings_;
  std::size_t longest_ = 0;
};

/// A continued text as it may be shown: up to a stop string, of which nothing is ever shown.
class StoppedText {
 public:
  StoppedText(ContinuedText text, const StopStrings& stops) : text_(std::move(text)), stops_(stops) {}

  /// What may be shown with one more token; nothing once it has stopped.
  std::string add(std::int32_t token) { return release(text_.add(token), false); }
  /// The rest.
  std::string finish() { return release(text_.finish(), true); }
  /// The number of the string that ended it.
  std::optional<std::size_t> stopped_by() const { return stopped_by_; }

 private:
  std::string release(const std::string& text, bool at_end);

  ContinuedText text_;
  const StopStrings& stops_;
  std::string held_;  // what may be the beginning of a stop string
  std::optional<std::size_t> stopped_by_;
};

/// Whether the newest of these tokens of a continuation makes a stop string whole; those before have been
/// asked about.
bool makes_stop_string(const text::Tokenizer& tokenizer, const StopStrings& stops,
                       std::span<const std::int32_t> tokens);

}  // namespace fovea::decoding
