#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "fovea/text/normaliser.h"

namespace fovea::text::pipeline {

struct CompiledRegex;
struct FreeRegexWorkspace {
  void operator()(void* workspace) const;
};

/// A regular expression of a tokenizer.json, in the dialect of Oniguruma (Ruby's), run by PCRE2: classes of
/// Unicode, look-around, lazy and possessive repeats. ^ and $ match at lines, \s is White_Space, \h a hex
/// digit. Sets within sets and && are refused, since PCRE2 reads them otherwise. Copies share the compiled
/// form; searches may run on many threads.
class Regex {
 public:
  /// Throws Error(model) for what does not compile.
  explicit Regex(std::string_view pattern);

  /// Looks for matches, on one thread.
  class Search {
   public:
    explicit Search(const Regex& regex);
    /// The first match at `from` or later in `text` (UTF-8), where a match that is empty and ends where
    /// `last_end` says the last one ended does not count. Throws Error(data) if that takes more than about
    /// ten million steps, as patterns like (a+)+$ can.
    std::optional<TextRange> next(std::string_view text, std::size_t from,
                                  std::optional<std::size_t> last_end = {});

   private:
    int match(std::string_view text, std::size_t from);

    std::shared_ptr<const CompiledRegex> compiled_;
    std::unique_ptr<void, FreeRegexWorkspace> workspace_;
  };

 private:
  std::shared_ptr<const CompiledRegex> compiled_;
};

/// The pattern as PCRE2 wants it; throws as the constructor does.
std::string pattern_for_pcre2(std::string_view pattern);

}  // namespace fovea::text::pipeline
