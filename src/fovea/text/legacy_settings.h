#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fovea/formats/json.h"
#include "fovea/formats/json_writer.h"

namespace fovea::text {

/// A token that the files add to the vocabulary, or give a meaning.
struct AddedPiece {
  std::string content;
  bool single_word = false, lstrip = false, rstrip = false, normalized = false, special = true;
};

/// What tokenizer_config.json, special_tokens_map.json, added_tokens.json and config.json say of a tokenizer.
class LegacySettings {
 public:
  explicit LegacySettings(const std::filesystem::path& directory);

  /// "BertTokenizer", without a "Fast" at its end; else of the model's type, such as "bert"; or empty.
  const std::string& kind() const { return kind_; }
  bool flag(std::string_view key, bool otherwise) const;
  std::int64_t whole(std::string_view key, std::int64_t otherwise, std::int64_t least,
                     std::int64_t most) const;
  std::optional<std::string> text(std::string_view key) const;
  /// Whether `key` is there and not null.
  bool says(std::string_view key) const;

  /// The special token of that name ("eos_token"), as the files have it, else `otherwise`; remembered as one
  /// of the tokenizer's own. `lstrip` counts where the files do not say.
  std::string special(const std::string& name, std::string_view otherwise, bool lstrip = false);
  const std::vector<std::pair<std::string, std::string>>& specials() const { return specials_; }

  /// All that is to be added to the vocabulary, in the order in which it gets ids: what the files number, the
  /// special tokens asked for, further ones, and `more`.
  std::vector<AddedPiece> added(const std::vector<AddedPiece>& more) const;

 private:
  std::optional<formats::Json> find(std::string_view key) const;

  std::optional<formats::Json> config_, map_, numbered_;
  std::string kind_;
  std::vector<std::pair<std::string, std::string>> specials_;
  std::vector<AddedPiece> special_pieces_;
};

}  // namespace fovea::text
