#include "fovea/kernels/activation.h"

#include <algorithm>
#include <limits>

#include "fovea/kernels/cpu/dropout.h"
#include "fovea/kernels/cpu/functions.h"
#include "fovea/kernels/reference/activation.h"

#define FOVEA_BODY "fovea/kernels/cpu/activation.inl"
#include "fovea/kernels/cpu/for_each_isa.h"

namespace fovea::kernels {

constexpr std::int64_t elements_a_thread = 16384;  // a multiple of dropout's chunk of 128

void activation_forward(const Execution& exec, std::int64_t count, Activation activation,
                        const Dropout& dropout, const float* pre, float* out) {
  const auto range =
      choose(exec.kernels, &reference::activation_forward<float>, &cpu::plain::activation_forward,
             &cpu::avx2::activation_forward, &cpu::avx512::activation_forward);
  const ActivationForward<float> arguments{activation, dropout, pre, out};
  exec.pool->parallel_for(count, elements_a_thread,
                          [&](std::int64_t begin, std::int64_t end) { range(arguments, begin, end); });
}

void activation_backward(const Execution& exec, std::int64_t count, Activation activation,
                         const Dropout& dropout, const float* pre, const float* d_out, float* d_pre) {
  const auto range =
      choose(exec.kernels, &reference::activation_backward<float>, &cpu::plain::activation_backward,
             &cpu::avx2::activation_backward, &cpu::avx512::activation_backward);
  const ActivationBackward<float> arguments{activation, dropout, pre, d_out, d_pre};
  exec.pool->parallel_for(count, elements_a_thread,
                          [&](std::int64_t begin, std::int64_t end) { range(arguments, begin, end); });
}

}  // namespace fovea::kernels
