#include "fovea/kernels/cpu/packed_linear_part.h"

#include <algorithm>
#include <string>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/kernels/reference/packed_linear.h"

namespace fovea::kernels {
namespace {

using cpu::linear_lanes;
using cpu::linear_panel;
using cpu::linear_step_bytes;
using cpu::linear_tile_rows;
using cpu::LinearRowState;

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// What a row or a column begins at, null if there is none.
const float* offset(const float* p, std::int64_t by) { return p ? p + by : nullptr; }

}  // namespace

LinearCall checked_linear(const Execution& exec, std::int64_t M, const float* x, const PackedLinear& weights,
                          const LinearOptions& options) {
  LinearCall call{exec, M, x, weights, options};
  if (options.x_stride == 0) call.options.x_stride = weights.K();
  if (options.y_stride == 0) call.options.y_stride = weights.N();
  if (M < 0 || (M > 1 && (call.options.x_stride < weights.K() || call.options.y_stride < weights.N())))
    throw Error(Error::Kind::bug, "linear",
                "rows overlap: M=" + std::to_string(M) + " N=" + std::to_string(weights.N()) +
                    " K=" + std::to_string(weights.K()) + " x_stride=" + std::to_string(options.x_stride) +
                    " y_stride=" + std::to_string(options.y_stride));
  return call;
}

LinearPart::LinearPart(const LinearCall& call, int worker, std::int64_t rows)
    : call_(call), worker_(worker), most_ready_(rows) {
  if (!has_tiles()) return;
  constexpr std::int64_t half_a_cache = 256 * 1024, line = 64;
  kernels_ = cpu::linear_kernels(call.exec.kernels, call.weights.dtype());
  const std::int64_t steps = cpu::linear_steps(call.weights.dtype(), call.weights.K());
  stride_ = ceil_div(steps * kernels_.x_step_bytes, line) * line + line;
  const std::int64_t most =
      std::max<std::int64_t>(1, half_a_cache / stride_ / linear_tile_rows) * linear_tile_rows;
  most_ready_ = std::min(rows, most);
  const std::int64_t states =
      ceil_div(most_ready_ * static_cast<std::int64_t>(sizeof(LinearRowState)), line) * line;
  auto* bytes = reinterpret_cast<std::byte*>(call.exec.workspace->get(
      worker, 0, static_cast<std::size_t>(states + most_ready_ * stride_) / sizeof(float)));
  state_ = reinterpret_cast<LinearRowState*>(bytes);
  x_ = bytes + states;
}

std::int64_t LinearPart::make_ready(LinearRange rows) {
  first_ = rows.begin;
  const std::int64_t count = std::min(rows.count, most_ready_);
  if (!has_tiles()) return count;
  for (std::int64_t i = 0; i < count; ++i)
    state_[i] = kernels_.prepare(call_.x + (first_ + i) * call_.options.x_stride, call_.weights.K(),
                                 x_ + i * stride_);
  return count;
}

void LinearPart::multiply(LinearRange rows, LinearRange columns, float* y, std::int64_t y_stride) const {
  if (call_.weights.dtype() == DType::f32) return multiply_floats(rows, columns, y, y_stride);
  if (!has_tiles()) return multiply_by_loops(rows, columns, y, y_stride);
  for (std::int64_t n = columns.begin, end = columns.begin + columns.count; n < end;) {
    const std::int64_t nb = std::min(linear_panel - n % linear_panel, end - n);
    multiply_panel(rows, {n, nb}, y + n - columns.begin, y_stride, n + nb == end);
    n += nb;
  }
}

void LinearPart::multiply_floats(LinearRange rows, LinearRange columns, float* y,
                                 std::int64_t y_stride) const {
  const LinearOptions& o = call_.options;
  const GemmExtents extents{.M = rows.count,
                            .N = columns.count,
                            .K = call_.weights.K(),
                            .lda = std::max(o.x_stride, call_.weights.K()),
                            .ldc = std::max(y_stride, columns.count)};
  const GemmEpilogue epilogue{.accumulate = o.accumulate,
                              .bias = offset(o.bias, columns.begin),
                              .activation = o.activation,
                              .residual = offset(o.residual, rows.begin * y_stride + columns.begin)};
  gemm_serial(call_.exec, worker_, extents, call_.x + rows.begin * o.x_stride, call_.weights.matrix(),
              columns.begin, y, epilogue);
}

void LinearPart::multiply_by_loops(LinearRange rows, LinearRange columns, float* y,
                                   std::int64_t y_stride) const {
  const LinearOptions& o = call_.options;
  const std::int64_t K = call_.weights.K();
  std::vector<float> W(static_cast<std::size_t>(columns.count * K));
  for (std::int64_t i = 0; i < columns.count; ++i)
    unpack_row(call_.weights, columns.begin + i, 1.0f, W.data() + i * K);
  LinearOptions part = o;
  part.bias = offset(o.bias, columns.begin);
  part.residual = offset(o.residual, rows.begin * y_stride + columns.begin);
  reference::linear({call_.weights.dtype(), rows.count, columns.count, K, call_.x + rows.begin * o.x_stride,
                     o.x_stride, offset(call_.weights.scales(), columns.begin), y, y_stride},
                    W.data(), part);
}

// All rows against columns of one panel.
void LinearPart::multiply_panel(LinearRange rows, LinearRange columns, float* y, std::int64_t y_stride,
                                bool last) const {
  const LinearOptions& o = call_.options;
  const std::int64_t steps = cpu::linear_steps(call_.weights.dtype(), call_.weights.K());
  const std::int64_t panel = columns.begin / linear_panel;
  const std::byte* w = call_.weights.panels() + panel * steps * linear_panel * linear_step_bytes;
  const int groups = static_cast<int>(ceil_div(columns.count, linear_lanes));
  alignas(64) float sums[linear_tile_rows * linear_panel];
  // Tiles of nearly equal height: 8 rows are 4 and 4, not 6 and 2. The first ones fetch the next panel, some
  // lines a step, so that memory does not wait for arithmetic; a single tile may read as fast as memory
  // gives.
  const std::int64_t tiles = ceil_div(rows.count, linear_tile_rows),
                     bytes = steps * linear_panel * linear_step_bytes;
  const std::int64_t fetching =
      last || (tiles == 1 && !kernels_.fetches_alone) ? 0 : std::min<std::int64_t>(tiles, 4);
  const std::int64_t ahead_step = fetching == 0 ? 0 : fetching == 1 ? 256 : fetching < 4 ? 128 : 64;
  std::int64_t tiles_left = tiles;
  for (std::int64_t row = 0, height = 0; row < rows.count; row += height, --tiles_left) {
    height = ceil_div(rows.count - row, tiles_left);
    const std::int64_t tile = tiles - tiles_left, at = rows.begin + row - first_;
    const bool fetches = tile < fetching;
    float* to = y + row * y_stride;
    kernels_.tile(static_cast<int>(height), groups,
                  {steps, x_ + at * stride_, stride_, state_ + at, w, sums, to, y_stride,
                   fetches ? w + bytes + tile * (bytes / fetching) : w, fetches ? ahead_step : 0});
    kernels_.finish(
        {state_ + at, offset(call_.weights.scales(), columns.begin), offset(o.bias, columns.begin),
         offset(o.residual, (rows.begin + row) * y_stride + columns.begin), to, y_stride, o.activation,
         o.accumulate},
        static_cast<int>(height), columns.count, sums);
  }
}

}  // namespace fovea::kernels
