#include "fovea/ops/embed.h"

#include <algorithm>
#include <functional>
#include <string>

#include "fovea/kernels/rows.h"

namespace fovea::ops {
namespace {

void expect_within(const Tensor& ids, std::int64_t count, const char* what) {
  const std::int32_t* id = ids.i32();
  for (std::int64_t n = 0; n < ids.elements(); ++n) {
    if (id[n] >= 0 && id[n] < count) continue;
    throw Error(Error::Kind::bug, "embed",
                std::string(what) + " " + std::to_string(id[n]) + " of a table with " +
                    std::to_string(count) + " rows");
  }
}

void expect_fitting(const Tensor& ids, std::int64_t V, std::int64_t D, const Tensor& position,
                    const Tensor& positions) {
  expect_shape(ids, {-1}, "embed: ids [N]");
  expect_within(ids, V, "id");
  if (!positions.defined()) return;
  expect_shape(positions, {-1, D}, "embed: positions [P, D]");
  expect_shape(position, {ids.dim(0)}, "embed: position [N]");
  expect_within(position, positions.dim(0), "position");
}

}  // namespace

Tensor embed(const Context& ctx, const Tensor& ids, const kernels::PackedLinear& table, float scale,
             const Tensor& position, const Tensor& positions) {
  const std::int64_t N = ids.dim(0), D = table.K();
  expect_fitting(ids, table.N(), D, position, positions);
  Tensor y = Tensor::empty({N, D});
  kernels::look_up_rows(ctx.exec, table, N, ids.i32(), scale, y.f32());
  if (!positions.defined()) return y;
  for (std::int64_t n = 0; n < N; ++n) {
    const float* place = positions.f32() + position.i32()[n] * D;
    float* row = y.f32() + n * D;
    std::transform(row, row + D, place, row, std::plus<float>());
  }
  return y;
}

Tensor embed(const Context& ctx, const Tensor& ids, const Tensor& table, float scale, const Tensor& position,
             const Tensor& positions, Dropping dropping) {
  expect_shape(table, {-1, -1}, "embed: table [V, D]");
  const std::int64_t N = ids.dim(0), D = table.dim(1);
  expect_fitting(ids, table.dim(0), D, position, positions);
  const kernels::EmbedExtents extents{N, D, scale, ctx.dropout(dropping.p, dropping.site)};
  Tensor y = Tensor::empty({N, D});
  kernels::embed_forward(ctx.exec, extents, ids.i32(), table.f32(),
                         positions.defined() ? position.i32() : nullptr,
                         positions.defined() ? positions.f32() : nullptr, y.f32());
  if (!ctx.records({&table, &positions})) return y;
  require_grad(y);
  ctx.tape->record([exec = ctx.exec, extents, ids, table, position, positions, y] {
    const Tensor d_y = arrived_gradient(y);
    if (!d_y.defined()) return;
    const auto target = [](const Tensor& parameter) -> float* {
      if (!parameter.requires_grad()) return nullptr;
      const auto t = gradient_target(parameter);
      if (!t.accumulate) std::fill_n(t.data, parameter.elements(), 0.0f);
      return t.data;
    };
    float* d_table = target(table);
    float* d_positions = target(positions);
    Tensor unused;
    if (!d_table) d_table = (unused = Tensor::zeros(table.shape())).f32();
    kernels::embed_backward(exec, extents, ids.i32(), positions.defined() ? position.i32() : nullptr,
                            d_y.f32(), d_table, d_positions);
  });
  return y;
}

Tensor ids_tensor(std::span<const std::int32_t> ids) {
  Tensor tensor = Tensor::empty({static_cast<std::int64_t>(ids.size())}, DType::i32);
  std::ranges::copy(ids, tensor.i32());
  return tensor;
}

}  // namespace fovea::ops
