#pragma once

#include "fovea/kernels/gemm.h"

/// Matrix products by tiles of registers: panels of B, `panel` columns wide, against a few rows of A
/// (docs/decisions/0001). Tiles multiply units: one element of K in f32, a pair of them in bf16, as wide as a
/// float (docs/decisions/0008).
namespace fovea::kernels::cpu {

/// op(B)[K,N] packed: K in blocks of units (gemm_block), each block a row of panels, each panel
/// [units][panel]. Unit (u, n) of the block that begins at unit u0 and has ub of them lies at
///   u0 * columns + (n / panel) * panel * ub + (u - u0) * panel + n % panel,   columns = N rounded up to
///   panels.
struct PackedPanels {
  const float* data = nullptr;
  std::int64_t columns = 0;
  std::int64_t first_panel = 0;  ///< where this call's columns begin
};

/// Memory of the worker that runs a call.
struct GemmScratch {
  Workspace* workspace = nullptr;
  int worker = 0;
};

/// Units of a block in a packed matrix of so many: cut evenly, so that no block is a short rest.
constexpr std::int64_t gemm_block(std::int64_t units) {
  constexpr std::int64_t largest = 512;
  const std::int64_t blocks = (units + largest - 1) / largest;
  return blocks == 0 ? 1 : ((units + blocks - 1) / blocks + 15) / 16 * 16;
}

/// Of the processor's second cache, which is a core's own: 1 MiB if the system does not say.
std::int64_t second_cache_bytes();

// Of each set: gemm is one thread's product (B is not read if `packed` is given); gemm_pack_b packs elements
// k0 .. k0+kb-1, k0 the first of a unit, of the first nb columns of op(B) into panels [ceil(nb /
// panel)][units][panel]; gemm_panel is the columns of a panel.
#define FOVEA_GEMM_SET(set)                                                                              \
  namespace set {                                                                                        \
  void gemm(const GemmExtents& extents, const float* A, const float* B, const PackedPanels* packed,      \
            float* C, const GemmEpilogue& epilogue, const GemmScratch& scratch);                         \
  void gemm_pack_b(const float* B, std::int64_t ldb, bool transpose_b, std::int64_t k0, std::int64_t kb, \
                   std::int64_t nb, float* out);                                                         \
  std::int64_t gemm_panel();                                                                             \
  }
FOVEA_GEMM_SET(plain)
FOVEA_GEMM_SET(avx2)
FOVEA_GEMM_SET(avx512)
FOVEA_GEMM_SET(avx512_dot16)  // bf16, where has_16_bit_dot()
#undef FOVEA_GEMM_SET

}  // namespace fovea::kernels::cpu
