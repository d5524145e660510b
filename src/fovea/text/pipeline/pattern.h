#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "fovea/formats/json.h"
#include "fovea/text/normaliser.h"
#include "fovea/text/pipeline/regex.h"

namespace fovea::text::pipeline {

/// What a Split or Replace looks for: {"String": ...} or {"Regex": ...}.
class Pattern {
 public:
  /// Throws Error(model) for anything else, and for an empty string.
  explicit Pattern(const formats::Json& json);
  explicit Pattern(Regex regex) : sought_(std::move(regex)) {}

  /// Calls found(TextRange) for each match in `text`, from left to right, without overlaps.
  template <class Found>
  void for_each_match(std::string_view text, const Found& found) const {
    std::size_t from = 0;
    if (const std::string* sought = std::get_if<std::string>(&sought_)) {
      for (std::size_t at; (at = text.find(*sought, from)) != std::string_view::npos;
           from = at + sought->size())
        found(TextRange{static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(at + sought->size())});
      return;
    }
    Regex::Search search(std::get<Regex>(sought_));
    std::optional<std::size_t> last_end;
    while (const auto match = search.next(text, from, last_end)) {
      found(*match);
      last_end = from = match->end;
    }
  }

 private:
  std::variant<std::string, Regex> sought_;
};

}  // namespace fovea::text::pipeline
