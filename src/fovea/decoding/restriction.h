#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "fovea/decoding/model.h"

namespace fovea::decoding {

/// What a sentence may become: the tokens of `asked` and `always` that are not `forbidden`, all ascending.
/// Throws Error(usage) naming `where` if `asked` is not of ascending ids of a vocabulary of that size.
TokenSet possible_tokens(const std::vector<std::int32_t>& asked, std::span<const std::int32_t> always,
                         std::span<const std::int32_t> forbidden, std::int64_t vocabulary,
                         const std::string& where);

/// Which tokens the rows of a batch may become, each by its sentence, and which outputs a model computes for
/// all of them: the union. Rows are then narrowed to what is their own, so that what stands beside a sentence
/// changes nothing: neither its candidates nor the sum that its probabilities are shares of.
class Restriction {
 public:
  /// A set for each row; rows of a sentence share theirs.
  void begin(std::span<const TokenSet> rows);
  bool active() const { return !rows_.empty(); }

  /// All tokens that some row may become, ascending: what the model is to compute.
  const std::vector<std::int32_t>& tokens() const { return tokens_; }
  /// Rows are selected, dropped and repeated by index.
  void reorder(std::span<const std::int32_t> parents);

  /// Logits [R, tokens()] as StepModel::restrict_to() promises them: [R, W], a row's own first, then
  /// -infinity.
  Tensor narrow(const kernels::Execution& exec, const Tensor& logits) const;

 private:
  struct Part {
    TokenSet set;
    std::vector<std::int32_t> columns;  // of its tokens, among tokens_
  };
  void unite();

  std::vector<Part> parts_;                     // one a sentence
  std::vector<std::int32_t> rows_, next_rows_;  // the part of each row
  std::vector<std::int32_t> tokens_;
};

}  // namespace fovea::decoding
