#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "fovea/text/translation_tokenizer.h"

namespace fovea::models {

/// Which target tokens a source sentence may become: those that its tokens were seen to become, and some that
/// may stand in any sentence. An output layer of some hundred tokens then does for one of tens of thousands,
/// at nearly the same translations. One of a model's vocabulary serves every model with that vocabulary.
/// Source   Jean et al. 2015, "On using very large target vocabulary for neural machine translation", section
///          3.3; L'Hostis et al. 2016, "Vocabulary selection strategies for NMT"
class Shortlist {
 public:
  /// Target tokens of each source token: ids[offsets[s]] .. ids[offsets[s + 1] - 1], ascending.
  struct Table {
    std::vector<std::int32_t> offsets{0}, ids;
  };
  /// `anywhere` are the tokens that may stand in any sentence, ascending. Throws Error(bug) if ids are not
  /// ascending or no tokens, or the table has not a row for each source token.
  Shortlist(const text::TranslationTokenizer& tokenizer, std::vector<std::int32_t> anywhere, Table table);

  /// Reads a file of save(). Throws Error(model) naming the file and what is wrong with it: another kind of
  /// file, damaged, cut short, or made for other vocabularies than the tokenizer's.
  static Shortlist read(const std::filesystem::path& path, const text::TranslationTokenizer& tokenizer);
  /// Writes the file whole or not at all; docs/formats/shortlist.md says what is in it.
  void save(const std::filesystem::path& path) const;

  /// What a translation of these tokens may hold: target ids, ascending.
  std::vector<std::int32_t> candidates(std::span<const std::int32_t> source) const;

  std::int64_t source_vocabulary() const { return std::ssize(table_.offsets) - 1; }
  std::int64_t target_vocabulary() const { return target_vocabulary_; }
  const std::vector<std::int32_t>& anywhere() const { return anywhere_; }
  std::size_t size() const { return anywhere_.size() + table_.ids.size(); }  ///< ids it holds

 private:
  Shortlist(std::int64_t target_vocabulary, std::string digest, std::vector<std::int32_t> anywhere,
            Table table)
      : target_vocabulary_(target_vocabulary),
        digest_(std::move(digest)),
        anywhere_(std::move(anywhere)),
        table_(std::move(table)) {}
  /// The first fault, or nothing.
  std::string fault() const;

  std::int64_t target_vocabulary_;
  std::string digest_;  // of both vocabularies
  std::vector<std::int32_t> anywhere_;
  Table table_;
};

}  // namespace fovea::models
