// What lies between matrix products, at the shapes of a small Transformer: ns an element and GB/s of the
// arrays that each must read and write. --benchmark_filter=Adam picks; the last argument is the number of
// threads.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <vector>

#include "fovea/kernels/optimiser.h"
#include "fovea/kernels/rows.h"

namespace fovea::kernels {
namespace {

std::vector<float> normals(std::int64_t count, std::uint64_t seed, float scale = 1.0f) {
  std::vector<float> out(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = scale * normal(RandomKey::of(seed, 0, 1), i);
  return out;
}

Dropout dropout_of(const benchmark::State& state) {
  return {static_cast<float>(state.range(0)) / 100.0f, RandomKey::of(1, 2, 1000)};
}

/// ns an element and GB/s, `arrays` floats an element being read or written.
void report(benchmark::State& state, std::int64_t elements, int arrays) {
  const double total = static_cast<double>(elements) * static_cast<double>(state.iterations());
  state.counters["ns/element"] =
      benchmark::Counter(total * 1e-9, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.SetBytesProcessed(static_cast<std::int64_t>(total) * arrays * 4);
}

void DropoutMultipliers(benchmark::State& state) {
  alignas(64) static float out[1024];
  const Dropout dropout{0.3f, RandomKey::of(1, 2, 1000)};
  std::uint64_t first = 0;
  for (auto _ : state) {
    dropout_multipliers(default_kernels(), dropout, first, 1024, out);
    benchmark::DoNotOptimize(out);
    first += 1024;
  }
  report(state, 1024, 1);
}
BENCHMARK(DropoutMultipliers);

constexpr std::int64_t N = 8192, D = 128, F = 256;

void LayerNormForward(benchmark::State& state) {
  const ExecutionOwner owner(static_cast<int>(state.range(1)));
  const auto x = normals(N * D, 1), residual = normals(N * D, 2), gamma = normals(D, 3), beta = normals(D, 4);
  std::vector<float> sum(x.size()), y(x.size()), mean(N), rstd(N);
  for (auto _ : state)
    norm_forward(owner.get(), {N, D, 1e-5f, dropout_of(state)}, x.data(), residual.data(), gamma.data(),
                       beta.data(), sum.data(), y.data(), mean.data(), rstd.data());
  report(state, N * D, 4);
}
BENCHMARK(LayerNormForward)->ArgsProduct({{0, 30}, {1, 2}})->UseRealTime();

void LayerNormBackward(benchmark::State& state) {
  const ExecutionOwner owner(static_cast<int>(state.range(1)));
  const auto d_y = normals(N * D, 1), sum = normals(N * D, 2), gamma = normals(D, 3), mean = normals(N, 4);
  const std::vector<float> rstd(N, 1.0f);
  std::vector<float> d_sum(d_y.size()), d_x(d_y.size()), d_gamma(D), d_beta(D);
  for (auto _ : state)
    norm_backward(owner.get(), {N, D, 1e-5f, dropout_of(state)}, d_y.data(), sum.data(), mean.data(),
                        rstd.data(), gamma.data(), nullptr, d_sum.data(),
                        state.range(0) ? d_x.data() : nullptr, d_gamma.data(), d_beta.data());
  report(state, N * D, state.range(0) ? 4 : 3);
}
BENCHMARK(LayerNormBackward)->ArgsProduct({{0, 30}, {1, 2}})->UseRealTime();

template <Activation activation>
void ActivationForward(benchmark::State& state) {
  const ExecutionOwner owner(static_cast<int>(state.range(1)));
  const auto pre = normals(N * F, 1);
  std::vector<float> out(pre.size());
  for (auto _ : state)
    activation_forward(owner.get(), N * F, activation, dropout_of(state), pre.data(), out.data());
  report(state, N * F, 2);
}
BENCHMARK(ActivationForward<Activation::relu>)->ArgsProduct({{0, 30}, {1, 2}})->UseRealTime();
BENCHMARK(ActivationForward<Activation::gelu>)->ArgsProduct({{0, 30}, {1, 2}})->UseRealTime();

template <Activation activation>
void ActivationBackward(benchmark::State& state) {
  const ExecutionOwner owner(static_cast<int>(state.range(1)));
  const auto pre = normals(N * F, 1), d_out = normals(N * F, 2);
  std::vector<float> d_pre(pre.size());
  for (auto _ : state)
    activation_backward(owner.get(), N * F, activation, dropout_of(state), pre.data(), d_out.data(),
                        d_pre.data());
  report(state, N * F, 3);
}
BENCHMARK(ActivationBackward<Activation::relu>)->ArgsProduct({{0, 30}, {1, 2}})->UseRealTime();
BENCHMARK(ActivationBackward<Activation::gelu>)->ArgsProduct({{0, 30}, {1, 2}})->UseRealTime();

void ColumnSum(benchmark::State& state) {
  const ExecutionOwner owner(static_cast<int>(state.range(0)));
  const auto d_y = normals(N * F, 1);
  std::vector<float> d_bias(F);
  for (auto _ : state) column_sum(owner.get(), N, F, d_y.data(), d_bias.data());
  report(state, N * F, 1);
}
BENCHMARK(ColumnSum)->Arg(1)->Arg(2)->UseRealTime();

struct Tokens {
  static constexpr std::int64_t V = 10000;
  std::vector<std::int32_t> ids;
  Tokens() {
    for (std::uint64_t n = 0; n < N; ++n) ids.push_back(static_cast<std::int32_t>(below(RandomKey{}, n, V)));
  }
};

void EmbedForward(benchmark::State& state) {
  const ExecutionOwner owner(static_cast<int>(state.range(1)));
  const Tokens tokens;
  const auto table = normals(Tokens::V * D, 1);
  std::vector<float> out(N * D);
  for (auto _ : state)
    embed_forward(owner.get(), {N, D, 11.3f, dropout_of(state)}, tokens.ids.data(), table.data(), nullptr,
                  nullptr, out.data());
  report(state, N * D, 2);
}
BENCHMARK(EmbedForward)->ArgsProduct({{0, 30}, {1, 2}})->UseRealTime();

void EmbedBackward(benchmark::State& state) {
  const ExecutionOwner owner(static_cast<int>(state.range(1)));
  const Tokens tokens;
  const auto d_out = normals(N * D, 1);
  std::vector<float> d_table(Tokens::V * D);
  for (auto _ : state)
    embed_backward(owner.get(), {N, D, 11.3f, dropout_of(state)}, tokens.ids.data(), nullptr, d_out.data(),
                   d_table.data(), nullptr);
  report(state, N * D, 3);
}
BENCHMARK(EmbedBackward)->ArgsProduct({{0, 30}, {1, 2}})->UseRealTime();

/// In place: from the second time on the logits are the gradients of the time before, which costs the same.
void CrossEntropy(benchmark::State& state) {
  const ExecutionOwner owner(static_cast<int>(state.range(0)));
  constexpr std::int64_t rows = 256, V = 10000;
  auto logits = normals(rows * V, 1, 3.0f);
  const std::vector<std::int32_t> targets(rows, 77);
  std::vector<float> losses(rows);
  for (auto _ : state)
    cross_entropy(owner.get(), {rows, V, 0.1f}, logits.data(), targets.data(), losses.data(), nullptr);
  report(state, rows * V, 2);
}
BENCHMARK(CrossEntropy)->Arg(1)->Arg(2)->UseRealTime();

void TopK(benchmark::State& state) {
  const ExecutionOwner owner(static_cast<int>(state.range(0)));
  constexpr std::int64_t rows = 160, V = 10000, k = 10;
  const auto logits = normals(rows * V, 1, 3.0f);
  const std::int32_t banned = V - 1;
  std::vector<float> log_probs(rows * k);
  std::vector<std::int32_t> ids(rows * k);
  for (auto _ : state)
    top_k_log_softmax(owner.get(), rows, V, k, logits.data(), &banned, 1, log_probs.data(), ids.data());
  report(state, rows * V, 1);
}
BENCHMARK(TopK)->Arg(1)->Arg(2)->UseRealTime();

constexpr std::int64_t parameters = 2'600'000;

void AdamUpdate(benchmark::State& state) {
  const ExecutionOwner owner(static_cast<int>(state.range(0)));
  const auto gradient = normals(parameters, 1);
  auto weights = normals(parameters, 2);
  std::vector<float> m(weights.size()), v(weights.size());
  AdamStep step;
  for (auto _ : state) {
    adam(owner.get(), parameters, step, gradient.data(), m.data(), v.data(), weights.data(), nullptr);
    ++step.t;
  }
  report(state, parameters, 7);
}
BENCHMARK(AdamUpdate)->Arg(1)->Arg(2)->UseRealTime();

void SumOfSquares(benchmark::State& state) {
  const ExecutionOwner owner(static_cast<int>(state.range(0)));
  const auto x = normals(parameters, 1);
  for (auto _ : state) benchmark::DoNotOptimize(sum_of_squares(owner.get(), parameters, x.data()));
  report(state, parameters, 1);
}
BENCHMARK(SumOfSquares)->Arg(1)->Arg(2)->UseRealTime();

}  // namespace
}  // namespace fovea::kernels
