#pragma once

#include "fovea/ops/attention.h"
#include "fovea/ops/context.h"
#include "fovea/ops/rotary_tables.h"

namespace fovea::ops {

/// Which columns of a packed matrix are turned: `heads` heads `width` wide from PackedHeads::first on. In a
/// packed QKV matrix queries and keys lie side by side: one call with H + H_kv heads turns both.
struct RotaryHeads {
  std::int64_t heads = 1;
  std::int64_t width = 0;  ///< E of a head; its first tables.rotated() elements turn
};

/// y[n,h] = R(position[n]) x[n,h]: each pair (a, b) of a head turned by its angle at that position,
///   (a cos - b sin, b cos + a sin); what is not rotated is copied.
/// Shapes   x in a matrix [N, C]; position [N] (i32); returns [N, C]
/// Throws   Error(bug) if heads, width and the rotated part do not fit, or a position lies beyond the tables
/// Source   Su et al. 2021, section 3.2.2
Tensor rotary(const Context& ctx, const PackedHeads& x, const RotaryTables& tables, const Tensor& position,
              const RotaryHeads& heads);

/// The same in the memory of x, without a second matrix. Who made x must not need it for its gradient any
/// more (a linear without activation, or a step of inference, does not), and no one may have read it since.
void rotary_in_place(const Context& ctx, const PackedHeads& x, const RotaryTables& tables,
                     const Tensor& position, const RotaryHeads& heads);

/// The place of each row in its sequence: 0, 1, ... by row of a packed matrix with `rows` rows (i32), plus
/// `first` of its sequence if given (the length of its past in a cache). Rows of no sequence get 0.
Tensor positions_in(const Sequences& sequences, std::int64_t rows, std::span<const std::int64_t> first = {});

}  // namespace fovea::ops
