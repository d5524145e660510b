#include "fovea/kernels/linear_top_k.h"

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "fovea/base/error.h"
#include "tests/kernels/random_rows.h"
#include "tests/kernels/same_bits.h"

namespace fovea::kernels {
namespace {

using namespace fovea::test;

struct Answer {
  std::vector<float> log_probs;
  std::vector<std::int32_t> ids;

  Answer(std::int64_t M, std::int64_t k)
      : log_probs(static_cast<std::size_t>(M * k), 7.0f), ids(log_probs.size(), -7) {}
};

/// Rows of an output layer, with a bias.
struct OutputLayer {
  OutputLayer(const Execution& exec, DType dtype, std::int64_t M, std::int64_t N, std::int64_t K)
      : M(M), N(N), K(K), x(normals(M * K, 1)), bias(normals(N, 3)) {
    const auto W = normals(N * K, 2);
    weights = pack_linear(exec, dtype, {.dtype = DType::f32, .data = W.data(), .N = N, .K = K});
  }
  Answer fused(const Execution& exec, const TopKChoice& choice) const {
    Answer answer(M, choice.k);
    linear_top_k(exec, M, x.data(), weights, bias.data(), choice, answer.log_probs.data(), answer.ids.data());
    return answer;
  }
  Answer apart(const Execution& exec, const TopKChoice& choice) const {
    std::vector<float> logits(static_cast<std::size_t>(M * N));
    linear(exec, M, x.data(), weights, logits.data(), {.bias = bias.data()});
    Answer answer(M, choice.k);
    top_k_log_softmax(exec, M, N, choice, logits.data(), answer.log_probs.data(), answer.ids.data());
    return answer;
  }

  std::int64_t M, N, K;
  std::vector<float> x, bias;
  PackedLinear weights;
};

void expect_same(const Answer& a, const Answer& b, const std::string& what) {
  EXPECT_EQ(a.ids, b.ids) << what;
  EXPECT_TRUE(same_bits(a.log_probs, b.log_probs)) << what;
}

constexpr DType dtypes[] = {DType::f32, DType::bf16, DType::i8};

TEST(LinearTopK, HasTheBitsOfLogitsThenTopK) {
  for (const auto set : available_kernels()) {
    const ExecutionOwner one(1, set);
    for (const DType dtype : dtypes)
      for (const std::int64_t N : {1, 63, 511, 513, 1600})
        for (const std::int64_t M : {1, 6, 24, 31}) {
          if (set == KernelSet::reference && (M > 6 || N > 600)) continue;
          const OutputLayer layer(one.get(), dtype, M, N, 20);
          const TopKChoice choice{.k = std::min<std::int64_t>(N, 9)};
          const auto what = std::string(name_of(set)) + " " + std::string(name_of(dtype)) + " N " +
                            std::to_string(N) + " M " + std::to_string(M);
          expect_same(layer.fused(one.get(), choice), layer.apart(one.get(), choice), what);
        }
  }
}

TEST(LinearTopK, DoesNotDependOnThreadsOrOtherRows) {
  for (const DType dtype : dtypes) {
    const ExecutionOwner one(1), three(3);
    const OutputLayer layer(one.get(), dtype, 40, 2500, 64);
    const TopKChoice choice{.k = 8};
    Answer all = layer.fused(one.get(), choice);
    expect_same(layer.fused(three.get(), choice), all, "three threads");
    Answer alone(1, 8);
    linear_top_k(three.get(), 1, layer.x.data() + 17 * 64, layer.weights, layer.bias.data(), choice,
                 alone.log_probs.data(), alone.ids.data());
    EXPECT_TRUE(std::equal(alone.ids.begin(), alone.ids.end(), all.ids.begin() + 17 * 8));
    EXPECT_TRUE(same_bits(std::span(alone.log_probs), std::span(all.log_probs).subspan(17 * 8, 8)));
  }
}

/// Bits of columns that are allowed.
std::vector<std::uint64_t> bitmap(std::int64_t N, const std::vector<std::int32_t>& columns) {
  std::vector<std::uint64_t> bits(static_cast<std::size_t>((N + 63) / 64), 0);
  for (const auto n : columns) bits[static_cast<std::size_t>(n / 64)] |= std::uint64_t{1} << (n % 64);
  return bits;
}

/// Rows with columns of their own: what a layer of those columns alone would say.
TEST(LinearTopK, RowsMayBeAllowedDifferentColumns) {
  constexpr std::int64_t M = 3, N = 1100, K = 16, k = 5;
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(2, set);
    const OutputLayer layer(owner.get(), DType::f32, M, N, K);
    std::vector<float> logits(static_cast<std::size_t>(M * N));
    linear(owner.get(), M, layer.x.data(), layer.weights, logits.data(), {.bias = layer.bias.data()});
    std::vector<std::int32_t> names(static_cast<std::size_t>(N)), few;
    for (std::int32_t n = 0; n < N; ++n) names[static_cast<std::size_t>(n)] = 3 * n + 1;
    for (std::int32_t n = 1; n < N; n += 7) few.push_back(n);
    const auto seventh = bitmap(N, few), three = bitmap(N, {4, 700, 1099});
    const std::uint64_t* const allowed[M] = {seventh.data(), nullptr, three.data()};
    Answer answer = layer.fused(owner.get(), {k, allowed, names.data()});

    std::vector<float> of_few;
    for (const auto n : few) of_few.push_back(logits[static_cast<std::size_t>(n)]);
    Answer expected(1, k);
    top_k_log_softmax(owner.get(), 1, std::ssize(few), {.k = k}, of_few.data(), expected.log_probs.data(),
                      expected.ids.data());
    for (std::size_t i = 0; i < k; ++i) {
      EXPECT_EQ(answer.ids[i], 3 * few[static_cast<std::size_t>(expected.ids[i])] + 1);
      EXPECT_NEAR(answer.log_probs[i], expected.log_probs[i], 2e-6);
    }
    top_k_log_softmax(owner.get(), 1, N, {.k = k}, logits.data() + N, expected.log_probs.data(),
                      expected.ids.data());
    for (std::size_t i = 0; i < k; ++i) EXPECT_EQ(answer.ids[k + i], 3 * expected.ids[i] + 1);
    EXPECT_TRUE(same_bits(std::span(answer.log_probs).subspan(k, k), std::span(expected.log_probs)));
    double sum = 0.0;
    for (std::size_t i = 2 * k; i < 2 * k + 3; ++i) sum += std::exp(answer.log_probs[i]);
    EXPECT_NEAR(sum, 1.0, 1e-6);
    for (std::size_t i = 2 * k + 3; i < 3 * k; ++i) {
      EXPECT_EQ(answer.ids[i], -1);
      EXPECT_EQ(answer.log_probs[i], -std::numeric_limits<float>::infinity());
    }
  }
}

TEST(LinearTopK, NaNInARowStaysThere) {
  const ExecutionOwner owner(2);
  for (const DType dtype : dtypes) {
    OutputLayer layer(owner.get(), dtype, 3, 700, 16);
    layer.x[16] = NAN;
    const Answer answer = layer.fused(owner.get(), {.k = 4});
    for (std::size_t i = 0; i < 12; ++i) EXPECT_EQ(std::isnan(answer.log_probs[i]), i / 4 == 1);
    expect_same(answer, layer.apart(owner.get(), {.k = 4}), "NaN");
  }
}

TEST(LinearTopK, RefusesAKThatCannotBe) {
  const ExecutionOwner owner(1);
  const OutputLayer layer(owner.get(), DType::f32, 1, 100, 8);
  EXPECT_THROW(layer.fused(owner.get(), {.k = 65}), Error);
  EXPECT_EQ(layer.fused(owner.get(), {.k = 0}).ids.size(), 0u);
}

}  // namespace
}  // namespace fovea::kernels
