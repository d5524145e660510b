#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "fovea/kernels/activation.h"
#include "fovea/kernels/execution.h"

namespace fovea::kernels {

/// Extents of C[M,N] = op(A)[M,K] * op(B)[K,N]; all matrices row-major.
struct GemmExtents {
  std::int64_t M = 0, N = 0, K = 0;
  std::int64_t lda = 0, ldb = 0, ldc = 0;  ///< floats from one stored row to the next
  bool transpose_a = false;                ///< A is stored [K,M]
  bool transpose_b = false;                ///< B is stored [N,K], as weights [out, in] are
};

/// What happens to a finished element of C, in this order.
///   c = sum_k a b  (+ C if accumulate)  (+ bias[n]);  pre_activation = c;  C = activation(c)  (+ residual)
struct GemmEpilogue {
  bool accumulate = false;
  const float* bias = nullptr;      ///< [N]
  float* pre_activation = nullptr;  ///< [M,N] with row stride ldc, or none
  Activation activation = Activation::identity;
  const float* residual = nullptr;  ///< [M,N] with row stride ldc, or none; not C itself
};

/// C = epilogue(op(A) op(B)). Every element is one chain of fused multiply-adds over k = 0, 1, ..., K-1,
/// whatever M, N, tiles and threads are: a row's result does not depend on the other rows. K = 0 gives
/// epilogue(0). `accumulate` starts the chain from C. C must not overlap A or B. Uses slots 0 and 1 of the
/// workspace. With Precision::bf16 a chain takes two elements of K at a time, each product exact.
/// (`plain` rounds after each product; `reference` sums in double. The chain is the same for every shape
/// there, too.) Throws Error(bug) if an extent is negative or a stride shorter than its row.
void gemm(const Execution& exec, const GemmExtents& extents, const float* A, const float* B, float* C,
          const GemmEpilogue& epilogue = {});

/// The same on the calling thread alone, for callers inside a parallel region: `worker` is the region's.
void gemm_serial(const Execution& exec, int worker, const GemmExtents& extents, const float* A,
                 const float* B, float* C, const GemmEpilogue& epilogue = {});

/// A right operand in the order in which the kernels of one set read it: packed once, used by many calls.
class PackedMatrix {
 public:
  PackedMatrix() = default;

  std::int64_t K() const { return K_; }
  std::int64_t N() const { return N_; }
  KernelSet kernels() const { return kernels_; }
  Precision precision() const { return precision_; }
  const float* data() const { return data_.get(); }

 private:
  friend PackedMatrix packed_b(const Execution& exec, std::int64_t K, std::int64_t N, const float* memory);
  friend PackedMatrix pack_b(const Execution& exec, std::int64_t K, std::int64_t N, const float* B,
                             std::int64_t ldb, bool transpose_b, float* memory);
  friend PackedMatrix pack_b(const Execution& exec, std::int64_t K, std::int64_t N, const float* B,
                             std::int64_t ldb, bool transpose_b);
  struct Free {
    bool borrowed;  // the memory is the caller's
    void operator()(const float* data) const;
  };
  std::int64_t K_ = 0, N_ = 0;
  KernelSet kernels_ = KernelSet::reference;
  Precision precision_ = Precision::f32;
  std::unique_ptr<const float[], Free> data_;
};

/// op(B)[K,N] packed for exec.kernels, in exec.precision. B is [K,N], or [N,K] if transpose_b.
PackedMatrix pack_b(const Execution& exec, std::int64_t K, std::int64_t N, const float* B, std::int64_t ldb,
                    bool transpose_b);

/// The same in memory of the caller's, packed_floats(exec, K, N) of them at a multiple of 64 bytes, which
/// must outlive the matrix: for an operand that changes with each update. Threads share the work.
std::size_t packed_floats(const Execution& exec, std::int64_t K, std::int64_t N);
PackedMatrix pack_b(const Execution& exec, std::int64_t K, std::int64_t N, const float* B, std::int64_t ldb,
                    bool transpose_b, float* memory);

/// What pack_b(exec, ...) made of a matrix [K,N], and wrote to `memory` that outlives the result.
PackedMatrix packed_b(const Execution& exec, std::int64_t K, std::int64_t N, const float* memory);

/// gemm with a packed right operand: the same bits as with the operand it was packed from. extents.K and .N
/// must be B's and exec.kernels the set it was packed for (else Error(bug)); extents.ldb and .transpose_b are
/// not read, and the precision is B's.
void gemm(const Execution& exec, const GemmExtents& extents, const float* A, const PackedMatrix& B, float* C,
          const GemmEpilogue& epilogue = {});
void gemm_serial(const Execution& exec, int worker, const GemmExtents& extents, const float* A,
                 const PackedMatrix& B, float* C, const GemmEpilogue& epilogue = {});

/// Of columns first_column .. first_column + extents.N - 1 of B alone, first_column a multiple of 64: C, the
/// bias and the rest begin at that column.
void gemm_serial(const Execution& exec, int worker, const GemmExtents& extents, const float* A,
                 const PackedMatrix& B, std::int64_t first_column, float* C, const GemmEpilogue& epilogue);

/// to[k] = scale * B[k, column], for all k; of f32 alone.
void unpack_column(const PackedMatrix& B, std::int64_t column, float scale, float* to);

}  // namespace fovea::kernels
