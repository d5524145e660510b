#include "fovea/ops/rotary.h"

#include <algorithm>
#include <limits>
#include <string>

#include "fovea/kernels/rotary.h"

namespace fovea::ops {
namespace {

void expect_positions(const Tensor& position, std::int64_t N, std::int64_t positions) {
  expect_shape(position, {N}, "rotary: position [N]");
  const std::int32_t* p = position.i32();
  for (std::int64_t n = 0; n < N; ++n) {
    if (p[n] >= 0 && p[n] < positions) continue;
    throw Error(Error::Kind::bug, "rotary",
                "row " + std::to_string(n) + " stands at position " + std::to_string(p[n]) +
                    ", beyond the tables of " + std::to_string(positions) + " positions");
  }
}

kernels::RotaryExtents extents_of(const PackedHeads& x, const RotaryTables& tables, const Tensor& position,
                                  const RotaryHeads& heads) {
  expect_shape(x.matrix, {-1, -1}, "rotary: x [N, C]");
  expect_shape(tables.cos, {-1, -1}, "rotary: cos [positions, rotated/2]");
  expect_shape(tables.sin, {tables.cos.dim(0), tables.cos.dim(1)}, "rotary: sin [positions, rotated/2]");
  const std::int64_t N = x.matrix.dim(0), C = x.matrix.dim(1);
  if (heads.heads < 1 || heads.width < 1 || x.first < 0 || x.first + heads.heads * heads.width > C)
    throw Error(Error::Kind::bug, "rotary",
                std::to_string(heads.heads) + " heads (H) of width E " + std::to_string(heads.width) +
                    " from column " + std::to_string(x.first) + " do not fit in " + x.matrix.shape().text());
  if (tables.rotated() > heads.width)
    throw Error(Error::Kind::bug, "rotary",
                "tables turn " + std::to_string(tables.rotated()) + " elements of heads of width E " +
                    std::to_string(heads.width));
  expect_positions(position, N, tables.positions());
  return {.N = N,
          .row = C,
          .heads = heads.heads,
          .head = heads.width,
          .width = tables.rotated(),
          .interleaved = tables.interleaved};
}

void rotate(const kernels::Execution& exec, const kernels::RotaryExtents& extents, const RotaryTables& tables,
            const Tensor& position, std::int64_t first, float* matrix) {
  kernels::rotary(exec, extents, position.i32(), tables.cos.f32(), tables.sin.f32(), matrix + first,
                  matrix + first);
}

}  // namespace

Tensor rotary(const Context& ctx, const PackedHeads& x, const RotaryTables& tables, const Tensor& position,
              const RotaryHeads& heads) {
  auto extents = extents_of(x, tables, position, heads);
  Tensor y = x.matrix.clone();
  rotate(ctx.exec, extents, tables, position, x.first, y.f32());
  if (!ctx.records({&x.matrix})) return y;
  require_grad(y);
  extents.inverse = true;
  ctx.tape->record([exec = ctx.exec, extents, x, tables, position, y] {
    const Tensor d_y = arrived_gradient(y);
    if (!d_y.defined()) return;
    // The gradient of y is nobody else's any more: turn it back where it lies.
    rotate(exec, extents, tables, position, x.first, d_y.f32());
    give_gradient(x.matrix, d_y);
  });
  return y;
}

void rotary_in_place(const Context& ctx, const PackedHeads& x, const RotaryTables& tables,
                     const Tensor& position, const RotaryHeads& heads) {
  auto extents = extents_of(x, tables, position, heads);
  rotate(ctx.exec, extents, tables, position, x.first, x.matrix.f32());
  if (!ctx.records({&x.matrix})) return;
  extents.inverse = true;
  // What has arrived when this step runs is the gradient of the turned matrix, all of it: its readers came
  // later, so they have sent theirs already.
  ctx.tape->record([exec = ctx.exec, extents, x, tables, position] {
    const Tensor d_x = arrived_gradient(x.matrix);
    if (d_x.defined()) rotate(exec, extents, tables, position, x.first, d_x.f32());
  });
}

Tensor positions_in(const Sequences& sequences, std::int64_t rows, std::span<const std::int64_t> first) {
  if (!first.empty() && static_cast<std::int64_t>(first.size()) != sequences.size())
    throw Error(Error::Kind::bug, "positions",
                std::to_string(first.size()) +
                    " first positions for B = " + std::to_string(sequences.size()) + " sequences");
  Tensor position = Tensor::zeros({rows}, DType::i32);
  for (std::size_t b = 0; b < sequences.start.size(); ++b) {
    const std::int64_t start = sequences.start[b], count = sequences.count[b];
    const std::int64_t from = first.empty() ? 0 : first[b];
    if (start < 0 || count < 0 || start + count > rows || from < 0 ||
        from > std::numeric_limits<std::int32_t>::max() - count)
      throw Error(Error::Kind::bug, "positions",
                  "sequence " + std::to_string(b) + " has rows " + std::to_string(start) + " to " +
                      std::to_string(start + count) + " of N = " + std::to_string(rows) +
                      " and begins at position " + std::to_string(from));
    for (std::int64_t i = 0; i < count; ++i) position.i32()[start + i] = static_cast<std::int32_t>(from + i);
  }
  return position;
}

}  // namespace fovea::ops
