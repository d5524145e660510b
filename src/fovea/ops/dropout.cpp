#include "fovea/ops/dropout.h"

#include <string>

#include "fovea/kernels/dropout.h"

namespace fovea::ops {

Tensor dropout(const Context& ctx, const Tensor& x, const Dropping& dropping) {
  const Dropout how = ctx.dropout(dropping.p, dropping.site);
  if (!how.active()) return x;
  Tensor y = Tensor::empty(x.shape());
  kernels::residual_dropout(ctx.exec, x.elements(), how, x.f32(), nullptr, y.f32());
  if (!ctx.records({&x})) return y;
  require_grad(y);
  ctx.tape->record([exec = ctx.exec, how, x, y] {
    const Tensor d_y = arrived_gradient(y);
    if (!d_y.defined()) return;
    kernels::residual_dropout(exec, d_y.elements(), how, d_y.f32(), nullptr, d_y.f32());
    give_gradient(x, d_y);
  });
  return y;
}

Tensor sequence_mask(const Context& ctx, std::int64_t B, std::int64_t width, const Dropping& dropping) {
  const Dropout how = ctx.dropout(dropping.p, dropping.site);
  if (!how.active()) return {};
  Tensor mask = Tensor::empty({B, width});
  kernels::dropout_multipliers(ctx.exec.kernels, how, 0, mask.elements(), mask.f32());
  return mask;
}

void expect_packed(const Sequences& sequences, std::int64_t N, std::string_view where) {
  std::int64_t row = 0;
  const auto fail = [&](const std::string& what) { throw Error(Error::Kind::bug, where, what); };
  if (!sequences.rows.empty()) fail("sequences are lists of rows, not packed one after another");
  for (std::size_t b = 0; b < sequences.start.size(); ++b) {
    if (sequences.start[b] != row || sequences.count[b] < 0)
      fail("sequence " + std::to_string(b) + " begins at row " + std::to_string(sequences.start[b]) +
           ", not at " + std::to_string(row));
    row += sequences.count[b];
  }
  if (row != N) fail("sequences have " + std::to_string(row) + " rows, the matrix " + std::to_string(N));
}

namespace {

// y = x m; in place allowed.
void multiply_sequences(const kernels::Execution& exec, const Sequences& sequences, const Tensor& mask,
                        const float* x, float* y) {
  const std::int64_t C = mask.dim(1);
  exec.pool->parallel_for(sequences.size(), 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      const auto i = static_cast<std::size_t>(b);
      const float* m = mask.f32() + b * C;
      for (std::int64_t n = sequences.start[i]; n < sequences.start[i] + sequences.count[i]; ++n)
        for (std::int64_t c = 0; c < C; ++c) y[n * C + c] = x[n * C + c] * m[c];
    }
  });
}

}  // namespace

Tensor sequence_dropout(const Context& ctx, const Tensor& x,
                        const std::shared_ptr<const Sequences>& sequences, const Dropping& dropping) {
  expect_shape(x, {-1, -1}, "sequence dropout: x [N, C]");
  expect_packed(*sequences, x.dim(0), "sequence dropout");
  const Tensor mask = sequence_mask(ctx, sequences->size(), x.dim(1), dropping);
  if (!mask.defined()) return x;
  Tensor y = Tensor::empty(x.shape());
  multiply_sequences(ctx.exec, *sequences, mask, x.f32(), y.f32());
  if (!ctx.records({&x})) return y;
  require_grad(y);
  ctx.tape->record([exec = ctx.exec, sequences, mask, x, y] {
    const Tensor d_y = arrived_gradient(y);
    if (!d_y.defined()) return;
    multiply_sequences(exec, *sequences, mask, d_y.f32(), d_y.f32());
    give_gradient(x, d_y);
  });
  return y;
}

}  // namespace fovea::ops
