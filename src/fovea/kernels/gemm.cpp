#include "fovea/kernels/gemm.h"

#include <algorithm>
#include <cmath>
#include <new>
#include <string>

#include "fovea/base/checked.h"
#include "fovea/base/error.h"
#include "fovea/kernels/cpu/gemm.h"
#include "fovea/kernels/reference/gemm.h"

namespace fovea::kernels {
namespace {

using cpu::PackedPanels;

// The functions of a kernel set.
struct GemmKernels {
  decltype(&cpu::plain::gemm) compute;
  decltype(&cpu::plain::gemm_pack_b) pack_b;
  std::int64_t panel;
  std::int64_t pair = 1;  // elements of K in a unit
};

// `reference` takes the formula's path; a packed operand is then a copy of op(B) in rows.
void reference_gemm(const GemmExtents& extents, const float* A, const float* B, const PackedPanels* packed,
                    float* C, const GemmEpilogue& epilogue, const cpu::GemmScratch&) {
  if (!packed) return reference::gemm(extents, A, B, C, epilogue);
  GemmExtents rows = extents;
  rows.ldb = packed->columns;
  rows.transpose_b = false;
  reference::gemm(rows, A, packed->data + packed->first_panel, C, epilogue);
}

void reference_pack_b(const float* B, std::int64_t ldb, bool transpose_b, std::int64_t k0, std::int64_t kb,
                      std::int64_t nb, float* out) {
  for (std::int64_t k = 0; k < kb; ++k)
    for (std::int64_t n = 0; n < nb; ++n)
      out[k * nb + n] = transpose_b ? B[n * ldb + k0 + k] : B[(k0 + k) * ldb + n];
}

GemmKernels kernels_of(KernelSet set, Precision precision) {
  if (precision == Precision::bf16)
    return {&cpu::avx512_dot16::gemm, &cpu::avx512_dot16::gemm_pack_b, cpu::avx512_dot16::gemm_panel(), 2};
  switch (set) {
    case KernelSet::reference:
      return {&reference_gemm, &reference_pack_b, 1};
    case KernelSet::plain:
      return {&cpu::plain::gemm, &cpu::plain::gemm_pack_b, cpu::plain::gemm_panel()};
    case KernelSet::avx2:
      return {&cpu::avx2::gemm, &cpu::avx2::gemm_pack_b, cpu::avx2::gemm_panel()};
    case KernelSet::avx512:
      break;
  }
  return {&cpu::avx512::gemm, &cpu::avx512::gemm_pack_b, cpu::avx512::gemm_panel()};
}

// What is meant where there is bf16, f32 elsewhere.
Precision precision_of(const Execution& exec) {
  const bool has_bf16 = exec.kernels == KernelSet::avx512 && has_16_bit_dot();
  return has_bf16 ? exec.precision : Precision::f32;
}

GemmKernels kernels_of(const Execution& exec) { return kernels_of(exec.kernels, precision_of(exec)); }

void check(const GemmExtents& e, bool packed) {
  const auto fail = [&](const std::string& what) {
    throw Error(Error::Kind::bug, "gemm",
                what + " (M=" + std::to_string(e.M) + " N=" + std::to_string(e.N) +
                    " K=" + std::to_string(e.K) + ")");
  };
  if (e.M < 0 || e.N < 0 || e.K < 0) fail("negative extent");
  if (e.M == 0 || e.N == 0) return;
  if (e.ldc < e.N) fail("rows of C overlap: ldc=" + std::to_string(e.ldc));
  if (e.lda < (e.transpose_a ? e.M : e.K)) fail("rows of A overlap: lda=" + std::to_string(e.lda));
  if (!packed && e.ldb < (e.transpose_b ? e.K : e.N)) fail("rows of B overlap: ldb=" + std::to_string(e.ldb));
}

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// A grid of workers over C, each with whole panels.
struct Grid {
  std::int64_t rows = 1, columns = 1;
};

// Cycles of a worker for its part, roughly: multiply-adds; moving its parts of A and B through the caches,
// which a cut of the other side repeats; and rows of C whose neighbouring lines belong to another worker
// (1000x128x128 on two threads: 223 GFLOP/s cut by rows, 130 to 190 by columns).
double part_cost(const GemmExtents& e, const GemmKernels& kernels, const Grid& grid) {
  constexpr double move_a = 0.05, move_b = 0.25, share_c = 150.0, floats_a_cycle = 16.0, k_block = 512.0;
  const auto K = static_cast<double>(std::max<std::int64_t>(e.K, 1));
  const auto rows = static_cast<double>(ceil_div(e.M, grid.rows));
  const auto columns =
      static_cast<double>(ceil_div(ceil_div(e.N, kernels.panel), grid.columns) * kernels.panel);
  const double moved = move_b * columns + (e.transpose_a ? 2.0 : 1.0) * move_a * rows;
  const double shared = grid.columns > 1 ? share_c * rows * std::ceil(K / k_block) : 0.0;
  return K * (rows * columns / floats_a_cycle + moved) + shared;
}

Grid choose_grid(const GemmExtents& e, const GemmKernels& kernels, int workers) {
  // Below about 10 us waking the others costs more than they bring.
  constexpr double alone = 36e3;
  Grid best;
  double least = part_cost(e, kernels, best);
  if (least < alone) return best;
  for (std::int64_t rows = 1; rows <= workers; ++rows) {
    const Grid grid{std::min(rows, e.M), std::min(workers / rows, ceil_div(e.N, kernels.panel))};
    const double cost = part_cost(e, kernels, grid);
    if (cost >= least) continue;
    least = cost;
    best = grid;
  }
  return best;
}

struct Range {
  std::int64_t begin, count;
};

Range cut(std::int64_t count, std::int64_t grain, std::int64_t parts, std::int64_t part) {
  const std::int64_t blocks = ceil_div(count, grain);
  const std::int64_t begin = std::min(count, blocks * part / parts * grain);
  return {begin, std::min(count, blocks * (part + 1) / parts * grain) - begin};
}

// One worker's rectangle of C: the same product with moved pointers.
void compute_part(const GemmKernels& kernels, const GemmExtents& e, const float* A, const float* B,
                  const PackedPanels* packed, float* C, const GemmEpilogue& epilogue, Range rows,
                  Range columns, const cpu::GemmScratch& scratch) {
  GemmExtents part = e;
  part.M = rows.count;
  part.N = columns.count;
  if (part.M == 0 || part.N == 0) return;
  const std::int64_t offset = rows.begin * e.ldc + columns.begin;
  GemmEpilogue tail = epilogue;
  if (tail.bias) tail.bias += columns.begin;
  if (tail.pre_activation) tail.pre_activation += offset;
  if (tail.residual) tail.residual += offset;
  PackedPanels panels;
  if (packed) {
    panels = *packed;
    panels.first_panel += columns.begin / kernels.panel;
  }
  const float* b = packed ? nullptr : B + columns.begin * (e.transpose_b ? e.ldb : 1);
  kernels.compute(part, A + rows.begin * (e.transpose_a ? 1 : e.lda), b, packed ? &panels : nullptr,
                  C + offset, tail, scratch);
}

void run_parallel(const Execution& exec, const GemmKernels& kernels, const GemmExtents& e, const float* A,
                  const float* B, const PackedPanels* packed, float* C, const GemmEpilogue& epilogue) {
  check(e, packed != nullptr);
  if (e.M == 0 || e.N == 0) return;
  const Grid grid = choose_grid(e, kernels, exec.pool->size());
  const auto work = [&](int worker) {
    if (worker >= grid.rows * grid.columns) return;
    compute_part(kernels, e, A, B, packed, C, epilogue, cut(e.M, 1, grid.rows, worker / grid.columns),
                 cut(e.N, kernels.panel, grid.columns, worker % grid.columns), {exec.workspace, worker});
  };
  if (grid.rows * grid.columns == 1) return work(0);
  exec.pool->run(work);
}

void run_serial(const Execution& exec, const GemmKernels& kernels, int worker, const GemmExtents& e,
                const float* A, const float* B, const PackedPanels* packed, float* C,
                const GemmEpilogue& epilogue) {
  check(e, packed != nullptr);
  compute_part(kernels, e, A, B, packed, C, epilogue, {0, e.M}, {0, e.N}, {exec.workspace, worker});
}

PackedPanels panels_of(const Execution& exec, const GemmExtents& e, const PackedMatrix& B,
                       std::int64_t first_column, std::int64_t columns) {
  const bool within =
      first_column >= 0 && first_column % 64 == 0 && e.N == columns && first_column <= B.N() - columns;
  if (B.K() != e.K || !within || B.kernels() != exec.kernels)
    throw Error(Error::Kind::bug, "gemm",
                "packed operand is [" + std::to_string(B.K()) + ", " + std::to_string(B.N()) +
                    "] for kernels " + std::string(name_of(B.kernels())) + ", call is [" +
                    std::to_string(e.K) + ", " + std::to_string(e.N) + "] on " +
                    std::string(name_of(exec.kernels)));
  const std::int64_t panel = kernels_of(B.kernels(), B.precision()).panel;
  return {B.data(), ceil_div(B.N(), panel) * panel, first_column / panel};
}

}  // namespace

void gemm(const Execution& exec, const GemmExtents& extents, const float* A, const float* B, float* C,
          const GemmEpilogue& epilogue) {
  run_parallel(exec, kernels_of(exec), extents, A, B, nullptr, C, epilogue);
}

void gemm_serial(const Execution& exec, int worker, const GemmExtents& extents, const float* A,
                 const float* B, float* C, const GemmEpilogue& epilogue) {
  run_serial(exec, kernels_of(exec), worker, extents, A, B, nullptr, C, epilogue);
}

void PackedMatrix::Free::operator()(const float* data) const {
  if (!borrowed) ::operator delete[](const_cast<float*>(data), std::align_val_t{64});
}

std::size_t packed_floats(const Execution& exec, std::int64_t K, std::int64_t N) {
  const GemmKernels kernels = kernels_of(exec);
  const auto count =
      checked_mul<std::int64_t>(ceil_div(N, kernels.panel) * kernels.panel, ceil_div(K, kernels.pair));
  const auto bytes = count ? checked_mul<std::int64_t>(*count, sizeof(float)) : count;
  if (!bytes) throw Error(Error::Kind::bug, "pack_b", "matrix too large");
  return static_cast<std::size_t>(*count);
}

PackedMatrix packed_b(const Execution& exec, std::int64_t K, std::int64_t N, const float* memory) {
  PackedMatrix packed;
  packed.K_ = K;
  packed.N_ = N;
  packed.kernels_ = exec.kernels;
  packed.precision_ = precision_of(exec);
  packed.data_ = std::unique_ptr<const float[], PackedMatrix::Free>(memory, PackedMatrix::Free{true});
  return packed;
}

PackedMatrix pack_b(const Execution& exec, std::int64_t K, std::int64_t N, const float* B, std::int64_t ldb,
                    bool transpose_b, float* memory) {
  check({1, N, K, K, ldb, N, false, transpose_b}, false);
  const GemmKernels kernels = kernels_of(exec);
  const std::int64_t panel = kernels.panel, columns = ceil_div(N, panel) * panel;
  PackedMatrix packed = packed_b(exec, K, N, memory);
  if (exec.kernels == KernelSet::reference) {
    kernels.pack_b(B, ldb, transpose_b, 0, K, N, memory);
    return packed;
  }
  // A thread's share is worth waking it from about 16,000 elements.
  const std::int64_t grain = std::max(panel, ceil_div(16384, std::max<std::int64_t>(K, 1) * panel) * panel);
  exec.pool->parallel_for(columns, grain, [&](std::int64_t begin, std::int64_t end) {
    const float* from = B + begin * (transpose_b ? ldb : 1);
    const std::int64_t pair = kernels.pair, block = pair * cpu::gemm_block(ceil_div(K, pair));
    for (std::int64_t k = 0; k < K; k += block) {
      const std::int64_t kb = std::min(block, K - k), units = ceil_div(kb, pair);
      // The columns that fill up the last panel: nothing is made of them, but they may be stored.
      if (end == columns && N % panel)
        std::fill_n(memory + k / pair * columns + (end - panel) * units, panel * units, 0.0f);
      kernels.pack_b(from, ldb, transpose_b, k, kb, std::min(end, N) - begin,
                     memory + k / pair * columns + begin * units);
    }
  });
  return packed;
}

PackedMatrix pack_b(const Execution& exec, std::int64_t K, std::int64_t N, const float* B, std::int64_t ldb,
                    bool transpose_b) {
  Execution alone = exec;
  ThreadPool caller(1);
  alone.pool = &caller;
  auto* memory =
      static_cast<float*>(::operator new[](packed_floats(exec, K, N) * sizeof(float), std::align_val_t{64}));
  PackedMatrix packed = pack_b(alone, K, N, B, ldb, transpose_b, memory);
  packed.data_.get_deleter().borrowed = false;
  return packed;
}

void gemm(const Execution& exec, const GemmExtents& extents, const float* A, const PackedMatrix& B, float* C,
          const GemmEpilogue& epilogue) {
  const PackedPanels panels = panels_of(exec, extents, B, 0, B.N());
  run_parallel(exec, kernels_of(B.kernels(), B.precision()), extents, A, nullptr, &panels, C, epilogue);
}

void gemm_serial(const Execution& exec, int worker, const GemmExtents& extents, const float* A,
                 const PackedMatrix& B, float* C, const GemmEpilogue& epilogue) {
  const PackedPanels panels = panels_of(exec, extents, B, 0, B.N());
  run_serial(exec, kernels_of(B.kernels(), B.precision()), worker, extents, A, nullptr, &panels, C, epilogue);
}

void gemm_serial(const Execution& exec, int worker, const GemmExtents& extents, const float* A,
                 const PackedMatrix& B, std::int64_t first_column, float* C, const GemmEpilogue& epilogue) {
  const PackedPanels panels = panels_of(exec, extents, B, first_column, extents.N);
  run_serial(exec, kernels_of(B.kernels(), B.precision()), worker, extents, A, nullptr, &panels, C, epilogue);
}

void unpack_column(const PackedMatrix& B, std::int64_t column, float scale, float* to) {
  if (B.precision() != Precision::f32) throw Error(Error::Kind::bug, "unpack_column", "only of f32");
  const std::int64_t panel = kernels_of(B.kernels(), B.precision()).panel;
  const std::int64_t columns = ceil_div(B.N(), panel) * panel;
  const std::int64_t block = B.kernels() == KernelSet::reference ? B.K() : cpu::gemm_block(B.K());
  for (std::int64_t k0 = 0; k0 < B.K(); k0 += block) {
    const std::int64_t kb = std::min(block, B.K() - k0);
    // `reference` holds rows of B, which are panels of all columns.
    const float* from = B.kernels() == KernelSet::reference
                            ? B.data() + column
                            : B.data() + k0 * columns + column / panel * panel * kb + column % panel;
    const std::int64_t stride = B.kernels() == KernelSet::reference ? columns : panel;
    for (std::int64_t k = 0; k < kb; ++k) to[k0 + k] = scale * from[k * stride];
  }
}

}  // namespace fovea::kernels
