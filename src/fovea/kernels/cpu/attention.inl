// Attention for one instruction set, part by part. See for_each_isa.h.

inline constexpr float log2_e = 1.44269504089f, ln_2 = 0.69314718056f;
inline constexpr float lowest = -3e38f;  // below every score, and finite: lowest - lowest = 0
inline constexpr float no_score = -std::numeric_limits<float>::infinity();

template <class Body>
void run_workers(const Execution& exec, int workers, const Body& body) {
  if (workers <= 1) return body(0);
  exec.pool->run([&](int worker) {
    if (worker < workers) body(worker);
  });
}

// What the files below are made of, in this order.
#include "fovea/kernels/cpu/attention_product.inl"
//
#include "fovea/kernels/cpu/attention_rows.inl"
//
#include "fovea/kernels/cpu/attention_score.inl"
//
#include "fovea/kernels/cpu/attention_row.inl"
//
#include "fovea/kernels/cpu/attention_forward.inl"
//
#include "fovea/kernels/cpu/attention_backward.inl"
//
#include "fovea/kernels/cpu/attention_pairs.inl"

void attention_backward(const AttentionBackward& call) {
  BackwardPlan(call).run();
  if (call.d.bias) bias_gradient(call);
  if (call.d.relative) relative_gradient(call);
}
