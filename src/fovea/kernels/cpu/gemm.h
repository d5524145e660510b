#pragma once

#include "fovea/kernels/gemm.h"

/// Matrix products by tiles of registers: panels of B, `panel` columns wide, against a few rows of A
/// (docs/decisions/0001).
namespace fovea::kernels::cpu {

/// op(B)[K,N] packed: K in blocks of `block` rows (gemm_k_block), each block a row of panels, each panel
/// [rows][panel]. Element (k, n) of the block that begins at row k0 and has kb rows lies at
///   k0 * columns + (n / panel) * panel * kb + (k - k0) * panel + n % panel,   columns = N rounded up to
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

/// Rows of a block of K in a packed matrix: K cut evenly, so that no block is a short rest.
constexpr std::int64_t gemm_k_block(std::int64_t K) {
  constexpr std::int64_t largest = 512;
  const std::int64_t blocks = (K + largest - 1) / largest;
  return blocks == 0 ? 1 : ((K + blocks - 1) / blocks + 15) / 16 * 16;
}

// Of each set: gemm is one thread's product (B is not read if `packed` is given); gemm_pack_b packs rows k0
// .. k0+kb-1 of the first nb columns of op(B) into panels [ceil(nb / panel)][kb][panel]; gemm_panel is the
// columns of a panel.
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
#undef FOVEA_GEMM_SET

}  // namespace fovea::kernels::cpu
