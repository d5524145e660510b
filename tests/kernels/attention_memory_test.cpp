// How much memory attention takes beside its operands, whatever the lengths.
#include <gtest/gtest.h>

#include <algorithm>

#include "fovea/base/bfloat16.h"
#include "fovea/kernels/attention.h"

namespace fovea::kernels {
namespace {

constexpr std::size_t megabyte = std::size_t{1} << 20;

// The most a worker holds after forward, and after backward, of one sequence of H heads, T = S, E = 64.
template <class Real>
std::pair<std::size_t, std::size_t> held(std::int64_t H, std::int64_t T) {
  const ExecutionOwner owner(2);
  const std::int64_t E = 64, start = 0;
  const Real one(0.01f);
  std::vector<Real> q(T * H * E, one), k(q), v(q), out(q), d_out(q), d_q(q), d_k(q), d_v(q);
  std::vector<float> lse(T * H);
  AttentionExtents x;
  x.sequences = 1;
  x.heads = x.kv_heads = H;
  x.key_width = x.value_width = E;
  x.q = x.k = x.v = x.out = {H * E, E};
  x.q_start = x.k_start = &start;
  x.q_count = x.k_count = &T;
  x.visible = Visibility::causal();
  const auto most = [&] {
    return std::max(owner.get().workspace->bytes(0), owner.get().workspace->bytes(1));
  };
  attention_forward(owner.get(), x, {q.data(), k.data(), v.data()}, out.data(), lse.data(), T);
  const std::size_t forward = most();
  attention_backward(owner.get(), x, {q.data(), k.data(), v.data()}, out.data(), lse.data(), T, d_out.data(),
                     {d_q.data(), d_k.data(), d_v.data()});
  return {forward, most()};
}

TEST(SlowAttentionMemory, AtMost4MegabytesAThreadAt8192) {
  const auto [forward, both] = held<float>(16, 8192);
  EXPECT_LE(forward, 2 * megabyte);
  EXPECT_LE(both, 4 * megabyte);
  const auto [forward_bf16, both_bf16] = held<bfloat16>(16, 8192);
  EXPECT_LE(forward_bf16, 2 * megabyte);
  EXPECT_LE(both_bf16, 4 * megabyte);
  RecordProperty("forward", std::to_string(forward));
  RecordProperty("both", std::to_string(both));
}

TEST(AttentionMemory, DoesNotGrowWithTheKeys) {
  EXPECT_EQ(held<float>(1, 2048).first, held<float>(1, 4096).first);
}

}  // namespace
}  // namespace fovea::kernels
