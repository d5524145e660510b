#include "fovea/kernels/attention.h"

#include <string>

#include "fovea/base/error.h"
#include "fovea/kernels/cpu/attention_plan.h"
#include "fovea/kernels/reference/attention.h"

namespace fovea::kernels {
namespace {

void reference_forward(const cpu::AttentionForward& c) {
  reference::attention_forward(c.x, c.q, c.k, c.v, c.out, c.log_sum_exp, c.lse_stride, c.weights);
}

void reference_backward(const cpu::AttentionBackward& c) {
  reference::attention_backward(c.x, c.q, c.k, c.v, c.out, c.log_sum_exp, c.lse_stride, c.d_out, c.d_q, c.d_k,
                                c.d_v);
}

void expect(bool holds, const std::string& what) {
  if (!holds) throw Error(Error::Kind::bug, "attention", what);
}

void validate(const AttentionExtents& x) {
  expect(x.heads > 0 && x.kv_heads > 0 && x.heads % x.kv_heads == 0,
         std::to_string(x.heads) + " query heads cannot share " + std::to_string(x.kv_heads) + " key heads");
  expect(x.key_width > 0 && x.value_width > 0, "head widths must be positive");
  expect(x.sequences == 0 || (x.q_start && x.q_count && x.k_start && x.k_count),
         "starts and counts are missing");
  expect(x.dropout.p >= 0.0f && x.dropout.p < 1.0f, "dropout must lie in [0, 1)");
}

}  // namespace

void attention_forward(const Execution& exec, const AttentionExtents& x, const float* q, const float* k,
                       const float* v, float* out, float* log_sum_exp, std::int64_t lse_stride,
                       float* weights) {
  validate(x);
  choose(exec.kernels, &reference_forward, &cpu::plain::attention_forward, &cpu::avx2::attention_forward,
         &cpu::avx512::attention_forward)({exec, x, q, k, v, out, log_sum_exp, lse_stride, weights});
}

void attention_backward(const Execution& exec, const AttentionExtents& x, const float* q, const float* k,
                        const float* v, const float* out, const float* log_sum_exp, std::int64_t lse_stride,
                        const float* d_out, float* d_q, float* d_k, float* d_v) {
  validate(x);
  expect(!x.key_rows, "backward does not serve key_rows");
  choose(exec.kernels, &reference_backward, &cpu::plain::attention_backward, &cpu::avx2::attention_backward,
         &cpu::avx512::attention_backward)(
      {exec, x, q, k, v, out, log_sum_exp, lse_stride, d_out, d_q, d_k, d_v});
}

}  // namespace fovea::kernels
