#include "fovea/kernels/packed_linear.h"

#include <algorithm>
#include <string>

#include "fovea/base/error.h"
#include "fovea/kernels/cpu/packed_linear_part.h"

namespace fovea::kernels {
namespace {

using cpu::linear_panel;

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// One thread's rectangle of y.
void run_part(const LinearCall& call, int worker, LinearRange rows, LinearRange columns, float* y) {
  if (rows.count <= 0 || columns.count <= 0) return;
  LinearPart part(call, worker, rows.count);
  const std::int64_t stride = call.options.y_stride;
  for (std::int64_t ready; rows.count > 0; rows.begin += ready, rows.count -= ready) {
    ready = part.make_ready(rows);
    part.multiply({rows.begin, ready}, columns, y + rows.begin * stride + columns.begin, stride);
  }
}

// --- who computes what

struct Grid {
  std::int64_t rows = 1, columns = 1;
};

double products_a_cycle(const LinearCall& call) {
  const bool by_tiles = call.weights.dtype() != DType::f32 && call.exec.kernels != KernelSet::reference;
  return by_tiles ? cpu::linear_kernels(call.exec.kernels, call.weights.dtype()).products_a_cycle : 16.0;
}

// Cycles of a worker for its part, roughly: products, or bytes of weights where those take longer, and a part
// of the shorter, since they overlap imperfectly (a cut of rows reads all weights in each worker; from
// memory, that alone decides); rows made ready, which a cut of columns repeats; and rows of y whose
// neighbouring lines belong to another worker.
double part_cost(const LinearCall& call, const Grid& grid) {
  constexpr double from_cache = 28.0, from_memory = 6.0, third_cache = 12e6, share_y = 100.0, prepare = 0.3,
                   rest = 0.25;
  const DType dtype = call.weights.dtype();
  const auto element = static_cast<double>(size_of(dtype));
  const double bytes_a_cycle =
      static_cast<double>(call.weights.bytes()) < third_cache ? from_cache : from_memory;
  const auto K = static_cast<double>(call.weights.K());
  const auto rows = static_cast<double>(ceil_div(call.M, grid.rows));
  const auto columns = static_cast<double>(ceil_div(call.weights.N(), grid.columns));
  const double products = rows / products_a_cycle(call), reads = element / bytes_a_cycle;
  const double work = K * columns * (std::max(products, reads) + rest * std::min(products, reads));
  return work + (dtype == DType::f32 ? 0.0 : prepare * rows * K) + (grid.columns > 1 ? share_y * rows : 0.0);
}

Grid choose_grid(const LinearCall& call, int workers) {
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

LinearRange cut(std::int64_t count, std::int64_t grain, std::int64_t parts, std::int64_t part) {
  const std::int64_t blocks = ceil_div(count, grain);
  const std::int64_t begin = std::min(count, blocks * part / parts * grain);
  return {begin, std::min(count, blocks * (part + 1) / parts * grain) - begin};
}

}  // namespace

void linear(const Execution& exec, std::int64_t M, const float* x, const PackedLinear& weights, float* y,
            const LinearOptions& options) {
  const LinearCall call = checked_linear(exec, M, x, weights, options);
  const std::int64_t N = weights.N();
  const Grid grid = choose_grid(call, exec.pool->size());
  if (grid.rows * grid.columns == 1) return run_part(call, 0, {0, M}, {0, N}, y);
  exec.pool->run([&](int worker) {
    if (worker >= grid.rows * grid.columns) return;
    run_part(call, worker, cut(M, 1, grid.rows, worker / grid.columns),
             cut(N, linear_panel, grid.columns, worker % grid.columns), y);
  });
}

void linear_serial(const Execution& exec, int worker, std::int64_t M, const float* x,
                   const PackedLinear& weights, float* y, const LinearOptions& options,
                   LinearColumns columns) {
  const LinearCall call = checked_linear(exec, M, x, weights, options);
  if (columns.begin < 0 || columns.begin % linear_panel || columns.count < 0 ||
      columns.begin > weights.N() - columns.count)
    throw Error(Error::Kind::bug, "linear",
                "columns " + std::to_string(columns.begin) + " + " + std::to_string(columns.count) + " of " +
                    std::to_string(weights.N()));
  run_part(call, worker, {0, M}, {columns.begin, columns.count}, y);
}

void linear_serial(const Execution& exec, int worker, std::int64_t M, const float* x,
                   const PackedLinear& weights, float* y, const LinearOptions& options) {
  linear_serial(exec, worker, M, x, weights, y, options, {0, weights.N()});
}

}  // namespace fovea::kernels
