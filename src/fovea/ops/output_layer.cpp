#include "fovea/ops/output_layer.h"

#include <algorithm>

#include "fovea/kernels/rows.h"
#include "fovea/ops/packed_weight.h"

namespace fovea::ops {
namespace {

// Rows of logits made at once: 512 rows of a 10k vocabulary are 20 MB, which stay in a last-level cache of 32
// MB between the product that writes them and the two that read their gradient, and d_W is passed over half
// as often as with 256 (3 to 4 % of an update of a small recurrent model on two cores). More logits would
// not stay.
std::int64_t chunk_rows(std::int64_t V) { return V <= 10240 ? 512 : 256; }

}  // namespace

void through_output_layer(const Context& ctx, const Tensor& x, const Tensor& W, const Tensor& b,
                          bool gradient, const ChunkLoss& loss) {
  const std::int64_t N = x.dim(0), D = x.dim(1), V = W.dim(0), chunk = chunk_rows(V);
  Tensor logits = Tensor::empty({std::min(N, chunk), V});
  Tensor d_x = gradient && x.requires_grad() ? Tensor::empty({N, D}) : Tensor();
  const auto d_W = gradient && W.requires_grad() ? gradient_target(W) : GradientTarget{};
  const auto d_b = gradient && b.defined() && b.requires_grad() ? gradient_target(b) : GradientTarget{};
  if (d_b.data && !d_b.accumulate) std::fill_n(d_b.data, V, 0.0f);
  const PackedWeight forward = PackedWeight::forward(ctx.exec, W);
  const PackedWeight backward = d_x.defined() ? PackedWeight::backward(ctx.exec, W) : PackedWeight{};
  for (std::int64_t first = 0; first < N; first += chunk) {
    const std::int64_t rows = std::min(chunk, N - first);
    const float* x_rows = x.f32() + first * D;
    kernels::gemm(ctx.exec, {.M = rows, .N = V, .K = D, .lda = D, .ldc = V}, x_rows, forward.matrix,
                  logits.f32(), {.bias = b.defined() ? b.f32() : nullptr});
    loss(first, rows, logits.f32());
    if (d_x.defined())
      kernels::gemm(ctx.exec, {.M = rows, .N = D, .K = V, .lda = V, .ldc = D}, logits.f32(), backward.matrix,
                    d_x.f32() + first * D);
    if (d_W.data)
      kernels::gemm(ctx.exec, {.M = V, .N = D, .K = rows, .lda = V, .ldb = D, .ldc = D, .transpose_a = true},
                    logits.f32(), x_rows, d_W.data, {.accumulate = d_W.accumulate || first > 0});
    if (d_b.data) kernels::column_sum(ctx.exec, rows, V, logits.f32(), d_b.data);
  }
  if (d_x.defined()) ctx.tape->record([x, d_x] { give_gradient(x, d_x); });
}

}  // namespace fovea::ops
