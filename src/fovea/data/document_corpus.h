#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace fovea::data {

/// Documents as token ids, flat in memory: 4 bytes a token and 8 a document. The ids are as the model reads
/// them, with whatever begins and ends a document.
class DocumentCorpus {
 public:
  /// Appends a document; one of fewer than two tokens predicts nothing and is left out, returning false.
  bool add(std::span<const std::int32_t> ids);

  /// Throws Error(data) in the name of `where` if nothing was kept.
  void expect_documents(std::string_view where) const;

  std::int64_t size() const { return std::ssize(offsets_) - 1; }
  std::span<const std::int32_t> document(std::int64_t i) const;
  /// Tokens that are predicted: all but the first of each document.
  std::int64_t predicted() const { return std::ssize(ids_) - size(); }
  std::int64_t left_out() const { return left_out_; }

  /// A hash of all ids in order, lengths included: a resume refuses data that changed.
  std::uint64_t fingerprint() const;

 private:
  std::vector<std::int32_t> ids_;
  std::vector<std::int64_t> offsets_{0};
  std::int64_t left_out_ = 0;
};

}  // namespace fovea::data
