#include "fovea/kernels/attention.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <type_traits>

#include "fovea/base/error.h"
#include "fovea/kernels/cpu/attention_bf16_plan.h"
#include "fovea/kernels/cpu/attention_plan.h"
#include "fovea/kernels/reference/attention.h"
#include "fovea/kernels/reference/attention_bf16.h"

namespace fovea::kernels {
namespace {

void reference_forward(const cpu::AttentionForward& c) {
  reference::attention_forward(c.x, c.in, c.out, c.log_sum_exp, c.lse_stride);
}

void reference_backward(const cpu::AttentionBackward& c) {
  reference::attention_backward(c.x, c.in, c.out, c.log_sum_exp, c.lse_stride, c.d_out, c.d);
}

void reference_forward_bf16(const cpu::AttentionForwardBf16& c) {
  reference::attention_forward(c.x, c.in, c.out, c.log_sum_exp, c.lse_stride);
}

void reference_backward_bf16(const cpu::AttentionBackwardBf16& c) {
  reference::attention_backward(c.x, c.in, c.out, c.log_sum_exp, c.lse_stride, c.d_out, c.d);
}

void reference_weights(const cpu::AttentionWeighing& c) {
  reference::attention_weights(c.x, c.in, c.log_sum_exp, c.lse_stride, c.wanted);
}

std::string count(std::int64_t value) { return std::to_string(value); }

// All shapes of a call in letters.
std::string shapes(const AttentionExtents& x) {
  const auto longest = [&](const std::int64_t* counts) {
    return counts && x.sequences > 0 ? count(*std::max_element(counts, counts + x.sequences)) : "?";
  };
  return "q [B=" + count(x.sequences) + ", T<=" + longest(x.q_count) + ", H=" + count(x.heads) +
         ", E=" + count(x.key_width) + "], k [B, S<=" + longest(x.k_count) + ", H=" + count(x.kv_heads) +
         ", E], v [B, S, H=" + count(x.kv_heads) + ", E=" + count(x.value_width) + "]";
}

class Validation {
 public:
  explicit Validation(const AttentionExtents& x) : x_(x) {}

  void operator()(const AttentionInputs& in) const {
    widths();
    visibility();
    expect(x_.dropout.p >= 0.0f && x_.dropout.p < 1.0f, "dropout must lie in [0, 1)");
    expect(x_.soft_cap >= 0.0f && std::isfinite(x_.soft_cap), "the soft cap must be finite and not below 0");
    expect(std::isfinite(x_.scale), "the scale must be finite");
    expect(!x_.blocks.data || (x_.blocks.query_block > 0 && x_.blocks.key_block > 0),
           "the mask's blocks must have positive sizes");
    if (x_.rotary.active()) rotary();
    if (in.relative) relative();
  }

  // `what` is a text or makes one: a decoder's step has no time for texts that nobody reads.
  template <class What>
  void expect(bool holds, const What& what) const {
    if (holds) return;
    if constexpr (std::is_invocable_v<What>)
      throw Error(Error::Kind::bug, "attention", what() + "; " + shapes(x_));
    else
      throw Error(Error::Kind::bug, "attention", std::string(what) + "; " + shapes(x_));
  }

 private:
  void widths() const {
    expect(x_.heads > 0 && x_.kv_heads > 0 && x_.heads % x_.kv_heads == 0, [&] {
      return count(x_.heads) + " query heads cannot share " + count(x_.kv_heads) + " key heads";
    });
    expect(x_.key_width > 0 && x_.value_width > 0, "head widths must be positive");
    expect(x_.sequences == 0 || (x_.q_start && x_.q_count && x_.k_start && x_.k_count),
           "starts and counts are missing");
    for (std::int64_t b = 0; b < x_.sequences; ++b)
      expect(x_.q_count[b] >= 0 && x_.k_count[b] >= 0, "lengths must not be negative");
  }

  void visibility() const {
    const Visibility& v = x_.visible;
    expect(v.left >= 0 && v.right >= 0 && v.left <= Visibility::unbounded && v.right <= Visibility::unbounded,
           [&] {
             return "a window must not be negative, nor wider than unbounded: left " + count(v.left) +
                    ", right " + count(v.right);
           });
    expect(!v.prefix || v.left == Visibility::unbounded, "a prefix needs an unbounded left");
  }

  void rotary() const {
    const Rotary& r = x_.rotary;
    expect(r.width % 2 == 0 && r.width <= x_.key_width && r.cos && r.sin,
           "rotary needs tables and an even width of at most E, not " + count(r.width));
    for (std::int64_t b = 0; b < x_.sequences; ++b) {
      const cpu::AttentionHead head(x_, b, 0);
      for (std::int64_t t = 0; t < head.queries; ++t) in_table(head.query_position(x_.rotary, t));
      for (std::int64_t j = 0; j < head.keys; ++j) in_table(head.key_position(x_.rotary, j));
    }
  }
  void in_table(std::int64_t position) const {
    if (position >= 0 && position < x_.rotary.positions) return;
    expect(false, "position " + count(position) + " is outside the rotary table of " +
                      count(x_.rotary.positions) + " positions");
  }

  void relative() const {
    const RelativeLayout& r = x_.relative;
    for (std::int64_t b = 0; b < x_.sequences; ++b) {
      const cpu::AttentionHead head(x_, b, 0);
      for (std::int64_t t = 0; t < head.queries; ++t) {
        const cpu::Interval seen = head.visible(t);
        if (seen.count() <= 0) continue;
        const std::int64_t i = t + head.shift, near = i - (seen.end - 1), far = i - seen.begin;
        if (r.zero + near >= 0 && r.zero + far < r.count) continue;
        expect(false, "distances " + count(near) + " to " + count(far) + " are not all among the " +
                          count(r.count) + " of the relative bias, whose distance 0 is at " + count(r.zero));
      }
    }
  }

  const AttentionExtents& x_;
};

// d_sink[h] = -sum over queries of exp(sink - log_sum_exp) * d_out.out
template <class Real>
void sink_gradients(const Execution& exec, const AttentionExtents& x, const float* sinks, const Real* out,
                    const float* log_sum_exp, std::int64_t lse_stride, const Real* d_out, float* d_sinks) {
  exec.pool->parallel_for(x.heads, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t h = begin; h < end; ++h) {
      double sum = 0.0;
      for (std::int64_t b = 0; b < x.sequences; ++b)
        for (std::int64_t row = x.q_start[b]; row < x.q_start[b] + x.q_count[b]; ++row) {
          const Real* const o = out + row * x.out.row + h * x.out.head;
          const Real* const d_o = d_out + row * x.out.row + h * x.out.head;
          double delta = 0.0;
          for (std::int64_t e = 0; e < x.value_width; ++e)
            delta += static_cast<double>(static_cast<float>(o[e])) * static_cast<float>(d_o[e]);
          const double lse = log_sum_exp[h * lse_stride + row];
          if (!std::isinf(lse)) sum -= std::exp(double{sinks[h]} - lse) * delta;
        }
      d_sinks[h] = static_cast<float>(sum);
    }
  });
}

template <class Real>
void validate_backward(const AttentionExtents& x, const AttentionInputs& biases,
                       const AttentionGradientsOf<Real, float>& d) {
  const Validation valid(x);
  valid(biases);
  valid.expect(!x.key_rows, "backward does not serve key_rows");
  valid.expect((!d.bias || biases.bias) && (!d.relative || biases.relative) && (!d.sinks || biases.sinks),
               "a gradient of something that was not given");
}

// The inputs that are f32 in every call.
AttentionInputs biases_of(const AttentionInputsBf16& in) {
  return {nullptr, nullptr, nullptr, in.bias, in.relative, in.sinks};
}

void validate(const Validation& valid, const AttentionExtents& x, const AttentionWeights& w) {
  const auto chosen = [&](const std::int32_t* list, std::int64_t size, std::int64_t bound, const char* what) {
    for (std::int64_t i = 0; list && i < size; ++i)
      valid.expect(list[i] >= 0 && list[i] < bound && (i == 0 || list[i] > list[i - 1]),
                   std::string("chosen ") + what + " must ascend and exist: " + count(list[i]));
  };
  chosen(w.heads, w.head_count, x.heads, "heads");
  chosen(w.rows, w.row_count, std::int64_t{1} << 31, "rows");
  valid.expect(w.top >= 0 && (w.top == 0 || w.top_weights || w.top_keys), "top needs somewhere to write");
}

}  // namespace

void attention_forward(const Execution& exec, const AttentionExtents& x, const AttentionInputs& in,
                       float* out, float* log_sum_exp, std::int64_t lse_stride) {
  Validation{x}(in);
  choose(exec.kernels, &reference_forward, &cpu::plain::attention_forward, &cpu::avx2::attention_forward,
         &cpu::avx512::attention_forward)({exec, x, in, out, log_sum_exp, lse_stride});
}

void attention_backward(const Execution& exec, const AttentionExtents& x, const AttentionInputs& in,
                        const float* out, const float* log_sum_exp, std::int64_t lse_stride,
                        const float* d_out, const AttentionGradients& d) {
  validate_backward(x, in, d);
  choose(exec.kernels, &reference_backward, &cpu::plain::attention_backward, &cpu::avx2::attention_backward,
         &cpu::avx512::attention_backward)({exec, x, in, out, log_sum_exp, lse_stride, d_out, d});
  if (d.sinks && exec.kernels != KernelSet::reference)
    sink_gradients(exec, x, in.sinks, out, log_sum_exp, lse_stride, d_out, d.sinks);
}

void attention_forward(const Execution& exec, const AttentionExtents& x, const AttentionInputsBf16& in,
                       bfloat16* out, float* log_sum_exp, std::int64_t lse_stride) {
  const AttentionInputs biases = biases_of(in);
  Validation{x}(biases);
  choose(exec.kernels, &reference_forward_bf16, &cpu::plain::bf16::attention_forward,
         &cpu::avx2::bf16::attention_forward,
         has_16_bit_dot()
             ? &cpu::avx512_dot16::bf16::attention_forward
             : &cpu::avx512::bf16::attention_forward)({exec, x, in, biases, out, log_sum_exp, lse_stride});
}

void attention_backward(const Execution& exec, const AttentionExtents& x, const AttentionInputsBf16& in,
                        const bfloat16* out, const float* log_sum_exp, std::int64_t lse_stride,
                        const bfloat16* d_out, const AttentionGradientsBf16& d) {
  const AttentionInputs biases = biases_of(in);
  validate_backward(x, biases, d);
  choose(exec.kernels, &reference_backward_bf16, &cpu::plain::bf16::attention_backward,
         &cpu::avx2::bf16::attention_backward,
         has_16_bit_dot() ? &cpu::avx512_dot16::bf16::attention_backward
                          : &cpu::avx512::bf16::attention_backward)(
      {exec, x, in, biases, out, log_sum_exp, lse_stride, d_out, d});
  if (d.sinks && exec.kernels != KernelSet::reference)
    sink_gradients(exec, x, in.sinks, out, log_sum_exp, lse_stride, d_out, d.sinks);
}

void attention_weights(const Execution& exec, const AttentionExtents& x, const AttentionInputs& in,
                       const float* log_sum_exp, std::int64_t lse_stride, const AttentionWeights& wanted) {
  const Validation valid(x);
  valid(in);
  validate(valid, x, wanted);
  choose(exec.kernels, &reference_weights, &cpu::plain::attention_weights, &cpu::avx2::attention_weights,
         &cpu::avx512::attention_weights)({exec, x, in, log_sum_exp, lse_stride, wanted});
}

}  // namespace fovea::kernels
