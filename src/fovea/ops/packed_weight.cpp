#include "fovea/ops/packed_weight.h"

namespace fovea::ops {
namespace {

PackedWeight pack(const kernels::Execution& exec, const Tensor& W, bool transposed) {
  const std::int64_t out = W.dim(0), in = W.dim(1), K = transposed ? in : out, N = transposed ? out : in;
  PackedWeight packed;
  packed.memory = Tensor::empty({static_cast<std::int64_t>(kernels::packed_floats(exec, K, N))});
  packed.matrix = kernels::pack_b(exec, K, N, W.f32(), in, transposed, packed.memory.f32());
  return packed;
}

}  // namespace

PackedWeight PackedWeight::forward(const kernels::Execution& exec, const Tensor& W) {
  return pack(exec, W, true);
}

PackedWeight PackedWeight::backward(const kernels::Execution& exec, const Tensor& W) {
  return pack(exec, W, false);
}

}  // namespace fovea::ops
