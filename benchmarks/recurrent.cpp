// Recurrent layers, forward and forward + backward, with the products of their inputs and all gradients. Best
// of many calls: others use the machine, too.
//
//   bench_recurrent                                     tables of one and two threads
//   bench_recurrent --peer THREADS gru|lstm B SHORTEST LONGEST H LAYERS DIRECTIONS REPEATS [FOLDER]
//   bench_recurrent --steps THREADS B T H REPEATS       a loop of ops::StepLinear beside one of ops::linear

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "fovea/base/random.h"
#include "fovea/nn/recurrent.h"

namespace fovea {
namespace {

using Clock = std::chrono::steady_clock;

template <class Call>
double seconds_of(const Call& call) {
  const auto start = Clock::now();
  call();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

Tensor uniforms(Shape shape, std::uint32_t site, float size) {
  Tensor tensor = Tensor::empty(shape);
  const RandomKey key = RandomKey::of(1, 0, site);
  for (std::int64_t i = 0; i < tensor.elements(); ++i)
    tensor.f32()[i] = size * (2.0f * uniform(key, static_cast<std::uint64_t>(i)) - 1.0f);
  return tensor;
}

struct Lengths {
  nn::Recurrence cell;
  std::int64_t B, shortest, longest, H, layers, directions;
};

// Lengths go round from the shortest to the longest, 7 at a time.
std::shared_ptr<const ops::Sequences> sequences_of(const Lengths& n) {
  std::vector<std::int32_t> offsets{0};
  for (std::int64_t b = 0; b < n.B; ++b)
    offsets.push_back(offsets.back() +
                      static_cast<std::int32_t>(n.shortest + b * 7 % (n.longest - n.shortest + 1)));
  return ops::Sequences::packed(offsets);
}

struct Work {
  nn::Parameters parameters;
  nn::Builder builder{parameters};
  std::shared_ptr<const ops::Sequences> sequences;
  nn::Recurrent module;
  Tensor x, d_out, out;
  kernels::ExecutionOwner exec;

  Work(const Lengths& n, int threads)
      : sequences(sequences_of(n)),
        module(builder, "",
               {.cell = n.cell,
                .input = n.H,
                .hidden = n.H,
                .layers = n.layers,
                .bidirectional = n.directions == 2,
                .initial = nn::RecurrentInitial::torch}),
        exec(threads) {
    parameters.allocate(1);
    parameters.allocate_gradients();
    const std::int64_t N = sequences->start.back() + sequences->count.back();
    x = uniforms({N, n.H}, 1, 1.0f);
    d_out = uniforms({N, n.H * n.directions}, 2, 1.0f);
  }
  std::int64_t rows() const { return x.dim(0); }
  void forward() {
    ops::Context ctx;
    ctx.exec = exec.get();
    out = module(ctx, x, sequences).h_NC;
  }
  void both() {
    parameters.zero_gradients();
    ops::Tape tape;
    ops::Context ctx;
    ctx.exec = exec.get();
    ctx.tape = &tape;
    ops::require_grad(x);
    out = module(ctx, x, sequences).h_NC;
    ops::give_gradient(out, d_out);
    tape.backward();
  }
};

Lengths lengths(benchmark::State& state, nn::Recurrence cell) {
  return {cell, state.range(1), 16, 32, state.range(2), 1, state.range(3)};
}

template <class Call>
void measure(benchmark::State& state, const Work& work, const Call& call) {
  double best = 1e30;
  for (auto _ : state) best = std::min(best, seconds_of(call));
  state.counters["best_ms"] = best * 1e3;
  state.counters["rows/s"] = static_cast<double>(work.rows()) / best;
}

void forward(benchmark::State& state, nn::Recurrence cell) {
  Work work(lengths(state, cell), static_cast<int>(state.range(0)));
  measure(state, work, [&] { work.forward(); });
}

void both(benchmark::State& state, nn::Recurrence cell) {
  Work work(lengths(state, cell), static_cast<int>(state.range(0)));
  measure(state, work, [&] { work.both(); });
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"threads", "B", "H", "directions"})->UseRealTime()->MinTime(0.1);
  for (const int threads : {1, 2})
    for (const int H : {128, 256, 512})
      for (const int directions : {1, 2}) b->Args({threads, 64, H, directions});
}
BENCHMARK_CAPTURE(forward, gru, nn::Recurrence::gru)->Apply(shapes);
BENCHMARK_CAPTURE(both, gru, nn::Recurrence::gru)->Apply(shapes);
BENCHMARK_CAPTURE(forward, lstm, nn::Recurrence::lstm)->Apply(shapes);
BENCHMARK_CAPTURE(both, lstm, nn::Recurrence::lstm)->Apply(shapes);

void write(const std::string& folder, const std::string& name, const Tensor& values) {
  std::ofstream(folder + "/" + name, std::ios::binary)
      .write(reinterpret_cast<const char*>(values.raw()), static_cast<std::streamsize>(values.bytes()));
}

// Every parameter and its gradient under the name on disk.
void write_parameters(const std::string& folder, const nn::Parameters& parameters) {
  for (const auto& parameter : parameters.all()) {
    const auto parts = parameter.parts.empty()
                           ? std::vector<nn::NamedRows>{{parameter.name, parameter.shape[0]}}
                           : parameter.parts;
    std::int64_t row = 0;
    for (const auto& part : parts) {
      write(folder, part.name, parameter.value.rows(row, row + part.rows));
      write(folder, "d_" + part.name, parameter.value.grad().rows(row, row + part.rows));
      row += part.rows;
    }
  }
}

// What peers/recurrent.py asks for: times as a line of JSON, operands and results in a folder.
int peer(int count, char** words) {
  const auto number = [&](int i) { return std::atoll(words[i]); };
  const auto cell = std::string_view(words[1]) == "lstm" ? nn::Recurrence::lstm : nn::Recurrence::gru;
  Work work({cell, number(2), number(3), number(4), number(5), number(6), number(7)},
            static_cast<int>(number(0)));
  double forward = 1e30, both = 1e30;
  for (long long i = 0; i < number(8); ++i) {
    forward = std::min(forward, seconds_of([&] { work.forward(); }));
    both = std::min(both, seconds_of([&] { work.both(); }));
  }
  std::printf("{\"forward_ms\": %.4f, \"both_ms\": %.4f}\n", forward * 1e3, both * 1e3);
  if (count <= 9) return 0;
  const std::string folder = words[9];
  write(folder, "x", work.x);
  write(folder, "d_out", work.d_out);
  write(folder, "out", work.out);
  write(folder, "d_x", work.x.grad());
  write_parameters(folder, work.parameters);
  return 0;
}

// The hidden projections of a GRU's decoder: T steps of x W^T + b, W [3H, H], B rows in the first half of
// them, then fewer and fewer; forward and backward.
template <class Linear>
void run_steps(const ops::Context& ctx, const Linear& linear, const std::vector<Tensor>& x) {
  for (const Tensor& rows : x) {
    const Tensor y = linear(rows);
    ops::give_gradient(y, y.detached());
  }
  ctx.tape->backward();
}

int steps(char** words) {
  const auto number = [&](int i) { return std::atoll(words[i]); };
  const kernels::ExecutionOwner exec(static_cast<int>(number(0)));
  const std::int64_t B = number(1), T = number(2), H = number(3);
  Tensor W = uniforms({3 * H, H}, 1, 0.1f), b = uniforms({3 * H}, 2, 0.1f);
  for (Tensor* parameter : {&W, &b}) {
    ops::require_grad(*parameter);
    ops::give_gradient(*parameter, Tensor::zeros(parameter->shape()));
  }
  std::vector<Tensor> x;
  for (std::int64_t t = 0; t < T; ++t) {
    x.push_back(uniforms({std::clamp(2 * B * (T - t) / T, std::int64_t{1}, B), H}, 3, 1.0f));
    ops::require_grad(x.back());
  }
  double together = 1e30, apart = 1e30;
  for (long long i = 0; i < number(4); ++i) {
    ops::Tape tape;
    ops::Context ctx;
    ctx.exec = exec.get();
    ctx.tape = &tape;
    together = std::min(together, seconds_of([&] {
                          const ops::StepLinear linear(ctx, W, b);
                          run_steps(
                              ctx, [&](const Tensor& rows) { return linear(ctx, rows); }, x);
                        }));
    apart = std::min(apart, seconds_of([&] {
                       run_steps(
                           ctx, [&](const Tensor& rows) { return ops::linear(ctx, rows, W, b); }, x);
                     }));
  }
  std::printf("{\"step_linear_ms\": %.4f, \"linear_ms\": %.4f}\n", together * 1e3, apart * 1e3);
  return 0;
}

}  // namespace
}  // namespace fovea

int main(int argc, char** argv) {
  if (argc >= 11 && std::strcmp(argv[1], "--peer") == 0) return fovea::peer(argc - 2, argv + 2);
  if (argc == 7 && std::strcmp(argv[1], "--steps") == 0) return fovea::steps(argv + 2);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
}
