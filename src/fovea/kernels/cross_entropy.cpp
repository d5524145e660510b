#include "fovea/kernels/cross_entropy.h"

#include <string>

#include "fovea/base/error.h"
#include "fovea/kernels/cpu/softmax_rows.h"
#include "fovea/kernels/reference/cross_entropy.h"
#include "fovea/kernels/row_blocks.h"

#define FOVEA_BODY "fovea/kernels/cpu/cross_entropy.inl"
#include "fovea/kernels/cpu/for_each_isa.h"

namespace fovea::kernels {

void cross_entropy(const Execution& exec, const CrossEntropyExtents& extents, float* logits,
                   const std::int32_t* targets, float* losses, float* nll) {
  for (std::int64_t n = 0; n < extents.N; ++n)
    if (targets[n] < 0 || targets[n] >= extents.V)
      throw Error(Error::Kind::bug, "cross_entropy",
                  "target " + std::to_string(targets[n]) + " of row " + std::to_string(n) +
                      " lies outside [0, " + std::to_string(extents.V) + ")");
  const auto rows = choose(exec.kernels, &reference::cross_entropy<float>, &cpu::plain::cross_entropy,
                           &cpu::avx2::cross_entropy, &cpu::avx512::cross_entropy);
  const CrossEntropy<float> arguments{extents, logits, targets, losses, nll};
  exec.pool->parallel_for(extents.N, rows_a_thread(extents.V),
                          [&](std::int64_t begin, std::int64_t end) { rows(arguments, begin, end); });
}

}  // namespace fovea::kernels
