#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "fovea/attention/score.h"
#include "fovea/ops/attention.h"
#include "fovea/tensor/tensor.h"

/// Rows of a decoder's state picked by number, without gradient: what becomes of it when hypotheses are
/// dropped, repeated or looked at alone. What is undefined stays so.
namespace fovea::models {

/// Rows of a matrix [R, D].
Tensor rows_of(const Tensor& matrix, std::span<const std::int32_t> rows);

/// The rows of `a`, then those of `b`; both undefined, or neither.
Tensor joined(const Tensor& a, const Tensor& b);

/// Of weights of one query a row, row after row [H, 1, S_r], those of `rows`; row r looks at sequence r.
Tensor parts_of(const Tensor& packed, const ops::Sequences& sequences, std::span<const std::int32_t> rows);

std::shared_ptr<const ops::Sequences> selected(const ops::Sequences& sequences,
                                               std::span<const std::int32_t> rows);

/// One query a row.
std::shared_ptr<const ops::Sequences> single_rows(std::int64_t rows);

/// A memory in which each row has keys of its own: a copy of each row's sequence, one after another.
attention::Memory unshared(const attention::Memory& memory);

/// The rows that sequences lie in, each once however many sequences share them.
struct Gathered {
  std::vector<std::int32_t> rows;                   ///< in the order in which sequences first name them
  std::shared_ptr<const ops::Sequences> parts;      ///< of those rows, each part once
  std::shared_ptr<const ops::Sequences> sequences;  ///< where each sequence is among them
};
/// Sequences are equal or apart: none overlaps another.
Gathered gathered(const ops::Sequences& sequences);

/// The sequences of `a`, then those of `b`, which lie `shift` rows further than it says.
std::shared_ptr<const ops::Sequences> joined(const ops::Sequences& a, const ops::Sequences& b,
                                             std::int64_t shift);

/// Two memories as one: the sequences of `a` and then those of `b`, without rows that no sequence names.
attention::Memory joined(const attention::Memory& a, const attention::Memory& b);

}  // namespace fovea::models
