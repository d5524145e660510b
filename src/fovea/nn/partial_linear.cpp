#include "fovea/nn/partial_linear.h"

#include <algorithm>
#include <string>

#include "fovea/base/error.h"
#include "fovea/kernels/packed_rows.h"
#include "fovea/ops/linear.h"

namespace fovea::nn {
namespace {

// Rows `ids` of W as it is held: [ids, in]. Values stand row by row, a packed row does not: it costs many
// times more to read.
Tensor picked_rows(const kernels::Execution& exec, const Parameter& W, DType dtype,
                   std::span<const std::int32_t> ids) {
  const std::int64_t in = W.shape[1], row_bytes = in * static_cast<std::int64_t>(size_of(dtype));
  Tensor rows = Tensor::empty({std::ssize(ids), in}, dtype);
  const std::int64_t grain = std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(1, in));
  exec.pool->parallel_for(std::ssize(ids), grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t id = ids[static_cast<std::size_t>(i)];
      if (W.value.defined())
        std::copy_n(W.value.f32() + id * in, in, rows.f32() + i * in);
      else
        kernels::copy_row(W.packed, id, rows.raw() + i * row_bytes);
    }
  });
  return rows;
}

Tensor picked(const float* from, std::span<const std::int32_t> ids) {
  Tensor values = Tensor::empty({std::ssize(ids)});
  std::ranges::transform(ids, values.f32(), [&](std::int32_t id) { return from[id]; });
  return values;
}

}  // namespace

PartialLinear::PartialLinear(const kernels::Execution& exec, const Parameter& W, const Tensor& b,
                             std::span<const std::int32_t> ids) {
  const std::int64_t out = W.shape[0], in = W.shape[1];
  for (const auto id : ids)
    if (id < 0 || id >= out)
      throw Error(Error::Kind::bug, "partial linear",
                  "output " + std::to_string(id) + " of " + std::to_string(out));
  const DType dtype = W.value.defined() ? DType::f32 : W.packed.dtype();
  const Tensor rows = picked_rows(exec, W, dtype, ids);
  const Tensor scales = dtype == DType::i8 ? picked(W.packed.scales(), ids) : Tensor();
  const auto bytes = kernels::packed_linear_bytes(exec, dtype, std::ssize(ids), in);
  memory_ = Tensor::empty({static_cast<std::int64_t>(bytes)}, DType::i8);
  weights_ = kernels::pack_linear(exec, dtype,
                                  {.dtype = dtype,
                                   .data = rows.raw(),
                                   .N = std::ssize(ids),
                                   .K = in,
                                   .scales = scales.defined() ? scales.f32() : nullptr},
                                  memory_.raw());
  if (b.defined()) bias_ = picked(b.f32(), ids);
}

Tensor PartialLinear::operator()(const ops::Context& ctx, const Tensor& x) const {
  return ops::linear(ctx, x, weights_, bias_, {});
}

}  // namespace fovea::nn
