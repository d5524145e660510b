#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "fovea/attention/score.h"
#include "fovea/ops/attention.h"
#include "fovea/tensor/tensor.h"

/// Rows of a decoder's state picked by number, without gradient: what becomes of it when hypotheses are
/// dropped, repeated or looked at alone. What is undefined stays so.
namespace fovea::models {

/// Rows of a matrix [R, D].
Tensor rows_of(const Tensor& matrix, std::span<const std::int32_t> rows);

/// Of weights of one query a row, row after row [H, 1, S_r], those of `rows`; row r looks at sequence r.
Tensor parts_of(const Tensor& packed, const ops::Sequences& sequences, std::span<const std::int32_t> rows);

std::shared_ptr<const ops::Sequences> selected(const ops::Sequences& sequences,
                                               std::span<const std::int32_t> rows);

/// One query a row.
std::shared_ptr<const ops::Sequences> single_rows(std::int64_t rows);

/// A memory in which each row has keys of its own: a copy of each row's sequence, one after another.
attention::Memory unshared(const attention::Memory& memory);

}  // namespace fovea::models
