#pragma once

#include <vector>

#include "fovea/kernels/packed_linear.h"
#include "fovea/ops/context.h"
#include "fovea/ops/norm.h"

namespace fovea::ops {

/// y[n] = dropout(scale * table[ids[n]] + positions[position[n]]).
/// Shapes   ids, position [N] (i32; position is ignored without positions); table [V, D]; positions [P, D] or
/// undefined Throws   Error(bug) if an id or a position lies outside its table
Tensor embed(const Context& ctx, const Tensor& ids, const Tensor& table, float scale, const Tensor& position,
             const Tensor& positions, Dropping dropping = {});

/// The same of a table packed for inference, without gradients or dropout.
Tensor embed(const Context& ctx, const Tensor& ids, const kernels::PackedLinear& table, float scale,
             const Tensor& position, const Tensor& positions);

/// A tensor [N] of ids.
Tensor ids_tensor(std::span<const std::int32_t> ids);

}  // namespace fovea::ops
