#include "fovea/kernels/packed_linear.h"

#include <algorithm>
#include <string>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/kernels/cpu/packed_linear.h"
#include "fovea/kernels/reference/packed_linear.h"

namespace fovea::kernels {
namespace {

using cpu::linear_lanes;
using cpu::linear_panel;
using cpu::linear_step_bytes;
using cpu::linear_tile_rows;
using cpu::LinearRowState;

struct Range {
  std::int64_t begin, count;
};

// A product with its strides known.
struct Call {
  const Execution& exec;
  std::int64_t M;
  const float* x;
  const PackedLinear& weights;
  float* y;
  LinearOptions options;
};

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

Call checked(const Execution& exec, std::int64_t M, const float* x, const PackedLinear& weights, float* y,
             const LinearOptions& options) {
  Call call{exec, M, x, weights, y, options};
  if (options.x_stride == 0) call.options.x_stride = weights.K();
  if (options.y_stride == 0) call.options.y_stride = weights.N();
  if (M < 0 || (M > 1 && (call.options.x_stride < weights.K() || call.options.y_stride < weights.N())))
    throw Error(Error::Kind::bug, "linear",
                "rows overlap: M=" + std::to_string(M) + " N=" + std::to_string(weights.N()) +
                    " K=" + std::to_string(weights.K()) + " x_stride=" + std::to_string(options.x_stride) +
                    " y_stride=" + std::to_string(options.y_stride));
  return call;
}

// What a row or a column begins at, null if there is none.
const float* offset(const float* p, std::int64_t by) { return p ? p + by : nullptr; }

void run_floats(const Call& call, int worker, Range rows, Range columns) {
  const LinearOptions& o = call.options;
  const std::int64_t at = rows.begin * o.y_stride + columns.begin;
  const GemmExtents extents{.M = rows.count,
                            .N = columns.count,
                            .K = call.weights.K(),
                            .lda = std::max(o.x_stride, call.weights.K()),
                            .ldc = std::max(o.y_stride, columns.count)};
  const GemmEpilogue epilogue{.accumulate = o.accumulate,
                              .bias = offset(o.bias, columns.begin),
                              .activation = o.activation,
                              .residual = offset(o.residual, at)};
  gemm_serial(call.exec, worker, extents, call.x + rows.begin * o.x_stride, call.weights.matrix(),
              columns.begin, call.y + at, epilogue);
}

void run_reference(const Call& call, Range rows, Range columns) {
  const LinearOptions& o = call.options;
  const std::int64_t K = call.weights.K();
  std::vector<float> W(static_cast<std::size_t>(columns.count * K));
  for (std::int64_t i = 0; i < columns.count; ++i)
    unpack_row(call.weights, columns.begin + i, 1.0f, W.data() + i * K);
  LinearOptions part = o;
  part.residual = offset(o.residual, rows.begin * o.y_stride);
  reference::linear({call.weights.dtype(), rows.count, call.weights.N(), K, call.x + rows.begin * o.x_stride,
                     o.x_stride, call.weights.scales(), call.y + rows.begin * o.y_stride, o.y_stride},
                    W.data(), part, {columns.begin, columns.count});
}

// Rows of x made ready in scratch memory: states, then rows. Rows lie a line further apart than they are
// long, so that those of a tile do not compete for the same lines of the first cache.
struct Ready {
  LinearRowState* state;
  std::byte* x;
  std::int64_t stride, rows;  // rows of a block: they and a panel of W share the second cache
};

Ready ready_room(const Call& call, const cpu::LinearKernels& kernels, int worker, std::int64_t M) {
  constexpr std::int64_t half_a_cache = 256 * 1024, line = 64;
  const std::int64_t steps = cpu::linear_steps(call.weights.dtype(), call.weights.K());
  const std::int64_t stride = ceil_div(steps * kernels.x_step_bytes, line) * line + line;
  const std::int64_t most =
      std::max<std::int64_t>(1, half_a_cache / stride / linear_tile_rows) * linear_tile_rows;
  const std::int64_t rows = std::min(M, most);
  const std::int64_t states = ceil_div(rows * static_cast<std::int64_t>(sizeof(LinearRowState)), line) * line;
  float* room =
      call.exec.workspace->get(worker, 0, static_cast<std::size_t>(states + rows * stride) / sizeof(float));
  auto* bytes = reinterpret_cast<std::byte*>(room);
  return {reinterpret_cast<LinearRowState*>(bytes), bytes + states, stride, rows};
}

// All rows that are ready against columns of one panel.
void run_panel(const Call& call, const cpu::LinearKernels& kernels, const Ready& ready, Range rows,
               Range columns, bool last) {
  const LinearOptions& o = call.options;
  const std::int64_t steps = cpu::linear_steps(call.weights.dtype(), call.weights.K());
  const std::int64_t panel = columns.begin / linear_panel;
  const std::byte* w = call.weights.panels() +
                       (panel * steps * linear_panel + columns.begin % linear_panel) * linear_step_bytes;
  const int groups = static_cast<int>(ceil_div(columns.count, linear_lanes));
  alignas(64) float sums[linear_tile_rows * linear_panel];
  // Tiles of nearly equal height: 8 rows are 4 and 4, not 6 and 2. The first ones fetch the next panel, two
  // lines a step or one, so that memory does not wait for arithmetic; a single tile reads as fast as memory
  // gives.
  const std::int64_t tiles = ceil_div(rows.count, linear_tile_rows),
                     bytes = steps * linear_panel * linear_step_bytes;
  const std::int64_t fetching = last || tiles == 1 ? 0 : std::min<std::int64_t>(tiles, 4);
  std::int64_t tiles_left = tiles;
  for (std::int64_t row = 0, height = 0; row < rows.count; row += height, --tiles_left) {
    height = ceil_div(rows.count - row, tiles_left);
    const std::int64_t tile = tiles - tiles_left;
    const bool fetches = tile < fetching;
    const std::int64_t at = (rows.begin + row) * o.y_stride + columns.begin;
    kernels.tile(static_cast<int>(height), groups,
                 {steps, ready.x + row * ready.stride, ready.stride, ready.state + row, w, sums, call.y + at,
                  o.y_stride, fetches ? w + bytes + tile * (bytes / fetching) : w,
                  fetches ? (fetching < 4 ? 128 : 64) : 0});
    kernels.finish(
        {ready.state + row, offset(call.weights.scales(), columns.begin), offset(o.bias, columns.begin),
         offset(o.residual, at), call.y + at, o.y_stride, o.activation, o.accumulate},
        static_cast<int>(height), columns.count, sums);
  }
}

// One thread's rectangle of y.
void run_part(const Call& call, int worker, Range rows, Range columns) {
  if (rows.count <= 0 || columns.count <= 0) return;
  if (call.weights.dtype() == DType::f32) return run_floats(call, worker, rows, columns);
  if (call.exec.kernels == KernelSet::reference) return run_reference(call, rows, columns);
  const cpu::LinearKernels kernels = cpu::linear_kernels(call.exec.kernels, call.weights.dtype());
  const Ready ready = ready_room(call, kernels, worker, rows.count);
  for (std::int64_t m = rows.begin, end = rows.begin + rows.count; m < end; m += ready.rows) {
    const std::int64_t mb = std::min(ready.rows, end - m);
    for (std::int64_t i = 0; i < mb; ++i)
      ready.state[i] = kernels.prepare(call.x + (m + i) * call.options.x_stride, call.weights.K(),
                                       ready.x + i * ready.stride);
    for (std::int64_t n = columns.begin, last = columns.begin + columns.count; n < last;) {
      const std::int64_t nb = std::min(linear_panel - n % linear_panel, last - n);
      run_panel(call, kernels, ready, {m, mb}, {n, nb}, n + nb == last);
      n += nb;
    }
  }
}

// --- who computes what

struct Grid {
  std::int64_t rows = 1, columns = 1;
};

// Cycles of a worker for its part, roughly: products, or bytes of weights where those take longer, and a part
// of the shorter, since they overlap imperfectly (a cut of rows reads all weights in each worker; from
// memory, that alone decides); rows made ready, which a cut of columns repeats; and rows of y whose
// neighbouring lines belong to another worker.
double part_cost(const Call& call, const Grid& grid) {
  constexpr double from_cache = 28.0, from_memory = 6.0, third_cache = 12e6, share_y = 100.0, prepare = 0.3,
                   rest = 0.25;
  const DType dtype = call.weights.dtype();
  const double element = static_cast<double>(size_of(dtype)), products_a_cycle = 64.0 / element;
  const double bytes_a_cycle =
      static_cast<double>(call.weights.bytes()) < third_cache ? from_cache : from_memory;
  const auto K = static_cast<double>(call.weights.K());
  const auto rows = static_cast<double>(ceil_div(call.M, grid.rows));
  const auto columns = static_cast<double>(ceil_div(call.weights.N(), grid.columns));
  const double products = rows / products_a_cycle, reads = element / bytes_a_cycle;
  const double work = K * columns * (std::max(products, reads) + rest * std::min(products, reads));
  return work + (dtype == DType::f32 ? 0.0 : prepare * rows * K) + (grid.columns > 1 ? share_y * rows : 0.0);
}

Grid choose_grid(const Call& call, int workers) {
  constexpr double alone = 9e3, region = 3e3;
  Grid best;
  double least = part_cost(call, best);
  if (least < alone) return best;
  for (std::int64_t rows = 1; rows <= workers; ++rows) {
    const Grid grid{std::min(rows, call.M),
                    std::min(workers / rows, ceil_div(call.weights.N(), linear_panel))};
    const double cost = part_cost(call, grid) + region;
    if (grid.rows * grid.columns == 1 || cost >= least) continue;
    least = cost;
    best = grid;
  }
  return best;
}

Range cut(std::int64_t count, std::int64_t grain, std::int64_t parts, std::int64_t part) {
  const std::int64_t blocks = ceil_div(count, grain);
  const std::int64_t begin = std::min(count, blocks * part / parts * grain);
  return {begin, std::min(count, blocks * (part + 1) / parts * grain) - begin};
}

}  // namespace

void linear(const Execution& exec, std::int64_t M, const float* x, const PackedLinear& weights, float* y,
            const LinearOptions& options) {
  const Call call = checked(exec, M, x, weights, y, options);
  const std::int64_t N = weights.N();
  const Grid grid = choose_grid(call, exec.pool->size());
  if (grid.rows * grid.columns == 1) return run_part(call, 0, {0, M}, {0, N});
  exec.pool->run([&](int worker) {
    if (worker >= grid.rows * grid.columns) return;
    run_part(call, worker, cut(M, 1, grid.rows, worker / grid.columns),
             cut(N, linear_panel, grid.columns, worker % grid.columns));
  });
}

void linear_serial(const Execution& exec, int worker, std::int64_t M, const float* x,
                   const PackedLinear& weights, float* y, const LinearOptions& options,
                   LinearColumns columns) {
  const Call call = checked(exec, M, x, weights, y, options);
  if (columns.begin < 0 || columns.begin % linear_panel || columns.count < 0 ||
      columns.begin > weights.N() - columns.count)
    throw Error(Error::Kind::bug, "linear",
                "columns " + std::to_string(columns.begin) + " + " + std::to_string(columns.count) + " of " +
                    std::to_string(weights.N()));
  run_part(call, worker, {0, M}, {columns.begin, columns.count});
}

void linear_serial(const Execution& exec, int worker, std::int64_t M, const float* x,
                   const PackedLinear& weights, float* y, const LinearOptions& options) {
  linear_serial(exec, worker, M, x, weights, y, options, {0, weights.N()});
}

}  // namespace fovea::kernels
