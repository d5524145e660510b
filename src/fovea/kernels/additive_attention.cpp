#include "fovea/kernels/additive_attention.h"

#include <string>

#include "fovea/base/error.h"
#include "fovea/kernels/cpu/additive_attention_plan.h"
#include "fovea/kernels/reference/additive_attention.h"

namespace fovea::kernels {
namespace {

using cpu::AdditiveBackward;
using cpu::AdditiveForward;
using cpu::AdditiveResult;

void reference_forward(const AdditiveForward& c) {
  if (c.result == AdditiveResult::scores) return reference::additive_scores_forward(c.x, c.in, c.pairs);
  if (c.result == AdditiveResult::weights)
    return reference::additive_attention_weights(c.x, c.in, c.log_sum_exp, c.lse_stride, c.pairs);
  reference::additive_attention_forward(c.x, c.in, c.out, c.log_sum_exp, c.lse_stride);
}

void reference_backward(const AdditiveBackward& c) {
  if (c.scores_alone) return reference::additive_scores_backward(c.x, c.in, c.d_scores, c.to);
  reference::additive_attention_backward(c.x, c.in, c.out, c.log_sum_exp, c.lse_stride, c.d_out, c.to);
}

void run(const AdditiveForward& call) {
  choose(call.exec.kernels, &reference_forward, &cpu::plain::additive::forward, &cpu::avx2::additive::forward,
         &cpu::avx512::additive::forward)(call);
}

void run(const AdditiveBackward& call) {
  choose(call.exec.kernels, &reference_backward, &cpu::plain::additive::backward,
         &cpu::avx2::additive::backward, &cpu::avx512::additive::backward)(call);
}

void reference_backward_to_queries(const cpu::AdditiveQueryBackward& c) {
  reference::additive_scores_backward(c.x, c.in, c.d_scores, {c.d_q, nullptr, nullptr});
}

void expect(bool holds, const std::string& what) {
  if (!holds) throw Error(Error::Kind::bug, "additive attention", what);
}

void validate_scores(const AdditiveExtents& x) {
  expect(x.sequences >= 0 && x.heads > 0 && x.width > 0,
         "B " + std::to_string(x.sequences) + ", H " + std::to_string(x.heads) + ", D " +
             std::to_string(x.width) + ": heads and width must be positive");
  expect(x.visible.left >= 0 && x.visible.right >= 0, "a window below zero");
  expect(!x.visible.prefix || x.visible.left >= Visibility::unbounded, "a prefix with a bounded left");
  expect(x.sequences == 0 || (x.q_start && x.q_count && x.k_start && x.k_count),
         "starts and counts are missing");
}

void validate(const AdditiveExtents& x) {
  validate_scores(x);
  expect(x.value_width > 0, "the width of values must be positive");
  expect(x.dropout.p >= 0.0f && x.dropout.p < 1.0f, "dropout must lie in [0, 1)");
}

}  // namespace

std::int64_t additive_prepared_row(std::int64_t heads, std::int64_t width) {
  return heads * cpu::factor_row(width);
}

void additive_prepare(const Execution& exec, std::int64_t rows, std::int64_t heads, std::int64_t width,
                      HeadStrides strides, const float* k, float* prepared) {
  const auto make_factors =
      choose(exec.kernels, &cpu::plain::additive::make_factors, &cpu::plain::additive::make_factors,
             &cpu::avx2::additive::make_factors, &cpu::avx512::additive::make_factors);
  const std::int64_t row = additive_prepared_row(heads, width), head = cpu::factor_row(width);
  const std::int64_t grain = std::max<std::int64_t>(1, 20000 / row);
  exec.pool->parallel_for(rows, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r)
      for (std::int64_t h = 0; h < heads; ++h)
        make_factors(k + r * strides.row + h * strides.head, width, prepared + r * row + h * head);
  });
}

void additive_attention_forward(const Execution& exec, const AdditiveExtents& x, const AdditiveInputs& in,
                                float* out, float* log_sum_exp, std::int64_t lse_stride) {
  validate(x);
  run(AdditiveForward{.exec = exec,
                      .x = x,
                      .in = in,
                      .result = AdditiveResult::context,
                      .out = out,
                      .log_sum_exp = log_sum_exp,
                      .lse_stride = lse_stride});
}

void additive_attention_weights(const Execution& exec, const AdditiveExtents& x, const AdditiveInputs& in,
                                const float* log_sum_exp, std::int64_t lse_stride, float* weights) {
  validate_scores(x);
  run(AdditiveForward{.exec = exec,
                      .x = x,
                      .in = in,
                      .result = AdditiveResult::weights,
                      .log_sum_exp = const_cast<float*>(log_sum_exp),  // not written
                      .lse_stride = lse_stride,
                      .pairs = weights});
}

void additive_attention_backward(const Execution& exec, const AdditiveExtents& x, const AdditiveInputs& in,
                                 const float* out, const float* log_sum_exp, std::int64_t lse_stride,
                                 const float* d_out, const AdditiveGradients& to) {
  validate(x);
  expect(!x.key_rows, "backward does not serve key_rows");
  run(AdditiveBackward{exec, x, in, out, log_sum_exp, lse_stride, d_out, to});
}

void additive_scores_forward(const Execution& exec, const AdditiveExtents& x, const AdditiveInputs& in,
                             float* scores) {
  validate_scores(x);
  run(AdditiveForward{.exec = exec, .x = x, .in = in, .result = AdditiveResult::scores, .pairs = scores});
}

void additive_scores_backward(const Execution& exec, const AdditiveExtents& x, const AdditiveInputs& in,
                              const float* d_scores, const AdditiveGradients& to) {
  validate_scores(x);
  expect(!x.key_rows, "backward does not serve key_rows");
  run(AdditiveBackward{exec, x, in, nullptr, nullptr, 0, nullptr, to, true, d_scores});
}

void additive_scores_backward_to_queries(const Execution& exec, const AdditiveExtents& x,
                                         const AdditiveInputs& in, const float* d_scores, float* d_q) {
  validate_scores(x);
  choose(exec.kernels, &reference_backward_to_queries, &cpu::plain::additive::backward_to_queries,
         &cpu::avx2::additive::backward_to_queries,
         &cpu::avx512::additive::backward_to_queries)({exec, x, in, d_scores, d_q});
}

}  // namespace fovea::kernels
