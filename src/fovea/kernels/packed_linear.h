#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "fovea/base/dtype.h"
#include "fovea/kernels/activation.h"
#include "fovea/kernels/execution.h"
#include "fovea/kernels/gemm.h"

/// y = x W^T with weights that do not change: packed once, as f32, bf16 or 8-bit integers, and read at the
/// speed of memory for one row of x, of arithmetic for many.
namespace fovea::kernels {

/// Weights [N,K] (out, in) as a parameter or a file holds them, row-major.
struct LinearRows {
  DType dtype = DType::f32;  ///< f32, bf16 or i8
  const void* data = nullptr;
  std::int64_t N = 0, K = 0;
  const float* scales = nullptr;  ///< [N], of i8 alone: an element is scale * integer
};

/// Weights in the order in which the kernels read them.
///   f32    the numbers themselves, in the layout of PackedMatrix, for one kernel set
///   bf16   rounded to nearest even
///   i8     integers and a scale a row, max |w| / 127, rounded to nearest even; the scale of a row with NaN
///          or infinity is NaN. Rows that come as i8 keep their integers and scales.
/// bf16 and i8 lie the same way for every kernel set: panels of 64 rows of W, each [K/2 or K/4][64 rows][2 or
/// 4 elements], integers plus 128.
class PackedLinear {
 public:
  PackedLinear() = default;

  DType dtype() const { return dtype_; }
  std::int64_t N() const { return N_; }
  std::int64_t K() const { return K_; }
  std::size_t bytes() const { return bytes_; }

  const std::byte* panels() const { return memory_.get(); }  ///< of bf16 and i8
  const float* scales() const { return scales_; }            ///< of i8, else null
  const PackedMatrix& matrix() const { return matrix_; }     ///< of f32
  const std::byte* memory() const { return memory_.get(); }  ///< all of it, bytes() long

 private:
  friend PackedLinear packed_linear(const Execution& exec, DType dtype, std::int64_t N, std::int64_t K,
                                    const std::byte* memory, bool borrowed);
  struct Free {
    bool borrowed;  // the memory is the caller's
    void operator()(const std::byte* data) const;
  };
  DType dtype_ = DType::f32;
  std::int64_t N_ = 0, K_ = 0;
  std::size_t bytes_ = 0;
  std::unique_ptr<const std::byte[], Free> memory_;
  PackedMatrix matrix_;            // f32: over memory_
  const float* scales_ = nullptr;  // i8: in memory_, behind the panels
};

/// Bytes that weights [N,K] take when packed as `dtype`: a multiple of 64.
std::size_t packed_linear_bytes(const Execution& exec, DType dtype, std::int64_t N, std::int64_t K);

/// Packs `weights` as `dtype`, into `memory` of packed_linear_bytes at a multiple of 64 that outlives the
/// result, or into memory of its own. The rows are not needed afterwards. Threads share the work; f32 from
/// narrower rows widens all of them on the way. Throws Error(bug) for extents below 0, a dtype that is none
/// of the three, or K above 131072 for i8 (sums of products are 32-bit).
PackedLinear pack_linear(const Execution& exec, DType dtype, const LinearRows& weights,
                         std::byte* memory = nullptr);

/// Weights [N,K] that pack_linear packed as `dtype` to `memory`, here or, where the layout of f32 is that of
/// exec's kernels, elsewhere; it outlives the result. If it is not `borrowed`, it came from operator new[]
/// with an alignment of 64, and is the result's.
PackedLinear packed_linear(const Execution& exec, DType dtype, std::int64_t N, std::int64_t K,
                           const std::byte* memory, bool borrowed = true);

/// What happens to an element, in this order, and where rows lie.
///   c = sum_k x w  (+ y if accumulate)  (+ bias[n]);  y = activation(c)  (+ residual[m,n])
struct LinearOptions {
  const float* bias = nullptr;  ///< [N]
  Activation activation = Activation::identity;
  const float* residual = nullptr;  ///< [M,N] with y's row stride; not y itself (that is `accumulate`)
  bool accumulate = false;
  std::int64_t x_stride = 0, y_stride = 0;  ///< floats from one row to the next; 0: K and N
};

/// y[M,N] = epilogue(x[M,K] W^T). A row's result has the same bits whatever the other rows and the number of
/// threads.
///   f32    kernels::gemm: a chain of fused multiply-adds over k; `accumulate` starts it
///   bf16   x is rounded to bf16, to nearest even; products and sums are f32, in an order of the kernel set's
///   i8     x is rounded to integers q = round(x * 127 / a) with a = max_k |x|, a row at a time, and
///          c = float(sum_k q w) * (a / 127 * scale[n]): the sum is exact, so that kernel sets agree in every
///          bit as far as the activation. A row with NaN or infinity gives NaN; a < 2^-100 counts as 0.
/// y must not overlap x. Uses slots 0 and 1 of the workspace. Threads cut columns or rows, in one region.
/// Throws Error(bug) for M below 0 or strides shorter than rows, or f32 weights packed for another kernel
/// set.
void linear(const Execution& exec, std::int64_t M, const float* x, const PackedLinear& weights, float* y,
            const LinearOptions& options = {});

/// Columns begin .. begin + count - 1 of y; begin is a multiple of 64.
struct LinearColumns {
  std::int64_t begin = 0, count = 0;
};

/// The same on the calling thread alone, for callers inside a parallel region: `worker` is the region's. y,
/// the bias and the residual are those of the whole product, of which `columns` alone are computed and
/// written.
void linear_serial(const Execution& exec, int worker, std::int64_t M, const float* x,
                   const PackedLinear& weights, float* y, const LinearOptions& options,
                   LinearColumns columns);
void linear_serial(const Execution& exec, int worker, std::int64_t M, const float* x,
                   const PackedLinear& weights, float* y, const LinearOptions& options = {});

/// to[k] = scale * W[n,k] for all k; of i8 the integers, without their scale.
void unpack_row(const PackedLinear& weights, std::int64_t n, float scale, float* to);

/// out[i,:] = scale * W[ids[i],:], [count,K], widened: embeddings tied to an output layer. The caller has
/// checked ids.
void look_up_rows(const Execution& exec, const PackedLinear& weights, std::int64_t count,
                  const std::int32_t* ids, float scale, float* out);

}  // namespace fovea::kernels
