// Additive attention forward, backward and one step at a time. Best of many calls: others use the machine,
// too. G elements/s counts a tanh for each (query, key, dimension), forward and backward alike.
//
//   taskset -c 0 bench_additive_attention --benchmark_filter=threads:1
//   bench_additive_attention --benchmark_filter=threads:2
//   bench_additive_attention --peer THREADS B T S D E REPEATS [FOLDER]

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "fovea/base/random.h"
#include "fovea/kernels/additive_attention.h"

namespace fovea::kernels {
namespace {

using Clock = std::chrono::steady_clock;

template <class Call>
double seconds_of(const Call& call) {
  const auto start = Clock::now();
  call();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Seconds of the quickest call.
template <class Call>
double best_time(benchmark::State& state, const Call& call) {
  double best = 1e30;
  for (auto _ : state) best = std::min(best, seconds_of(call));
  state.counters["best_us"] = best * 1e6;
  return best;
}

struct Lengths {
  std::int64_t B, T, S, D, E;
};

struct Work {
  Lengths n;
  std::vector<std::int64_t> q_start, k_start, q_count, k_count;
  std::vector<float> q, k, v, value, out, lse, d_out, d_q, d_k, d_v, d_value, prepared;
  AdditiveExtents x;
  AdditiveInputs in;

  explicit Work(Lengths lengths, float size = 1.0f)
      : n(lengths),
        q_count(n.B, n.T),
        k_count(n.B, n.S),
        q(uniforms(n.B * n.T * n.D, 1, size)),
        k(uniforms(n.B * n.S * n.D, 2, size)),
        v(uniforms(n.D, 3, 0.1f)),
        value(uniforms(n.B * n.S * n.E, 4, 1.0f)),
        out(n.B * n.T * n.E),
        lse(n.B * n.T),
        d_out(uniforms(n.B * n.T * n.E, 5, 1.0f)),
        d_q(q.size()),
        d_k(k.size()),
        d_v(v.size()),
        d_value(value.size()) {
    for (std::int64_t b = 0; b < n.B; ++b) {
      q_start.push_back(b * n.T);
      k_start.push_back(b * n.S);
    }
    x.sequences = n.B;
    x.width = n.D;
    x.value_width = n.E;
    x.q = x.k = {n.D, n.D};
    x.value = x.out = {n.E, n.E};
    x.q_start = q_start.data();
    x.q_count = q_count.data();
    x.k_start = k_start.data();
    x.k_count = k_count.data();
    in = {q.data(), k.data(), v.data(), value.data()};
  }

  static std::vector<float> uniforms(std::int64_t count, std::uint32_t site, float size) {
    std::vector<float> values(static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = 2.0f * size * (uniform(RandomKey::of(1, 0, site), i) - 0.5f);
    return values;
  }

  void prepare(const Execution& exec) {
    prepared.resize(static_cast<std::size_t>(n.B * n.S * additive_prepared_row(1, n.D)));
    additive_prepare(exec, n.B * n.S, 1, n.D, x.k, k.data(), prepared.data());
    in.prepared = prepared.data();
  }
  void forward(const Execution& exec) {
    additive_attention_forward(exec, x, in, out.data(), lse.data(), n.B * n.T);
  }
  void backward(const Execution& exec) {
    additive_attention_backward(exec, x, in, out.data(), lse.data(), n.B * n.T, d_out.data(),
                                {d_q.data(), d_k.data(), d_v.data(), d_value.data()});
  }
  void scores(const Execution& exec, std::vector<float>& pairs) {
    pairs.resize(static_cast<std::size_t>(n.B * n.T * n.S));
    additive_scores_forward(exec, x, in, pairs.data());
  }
  double elements() const { return static_cast<double>(n.B * n.T * n.S * n.D); }
};

// Arguments: threads, B, T, S, D, E.
Lengths lengths(const benchmark::State& state) {
  return {state.range(1), state.range(2), state.range(3), state.range(4), state.range(5)};
}

void report(benchmark::State& state, const Work& work, double seconds) {
  const auto threads = static_cast<double>(state.range(0));
  state.counters["G_a_core"] = work.elements() * 1e-9 / seconds / threads;
}

void scores(benchmark::State& state) {
  Work work(lengths(state));
  std::vector<float> pairs;
  const ExecutionOwner exec(static_cast<int>(state.range(0)));
  report(state, work, best_time(state, [&] { work.scores(exec.get(), pairs); }));
}

// Beyond what factors hold: the exact tanh.
void scores_of_large_inputs(benchmark::State& state) {
  Work work(lengths(state), 100.0f);
  std::vector<float> pairs;
  const ExecutionOwner exec(static_cast<int>(state.range(0)));
  report(state, work, best_time(state, [&] { work.scores(exec.get(), pairs); }));
}

void forward(benchmark::State& state) {
  Work work(lengths(state));
  const ExecutionOwner exec(static_cast<int>(state.range(0)));
  report(state, work, best_time(state, [&] { work.forward(exec.get()); }));
}

void backward(benchmark::State& state) {
  Work work(lengths(state));
  const ExecutionOwner exec(static_cast<int>(state.range(0)));
  work.forward(exec.get());
  report(state, work, best_time(state, [&] { work.backward(exec.get()); }));
}

void step(benchmark::State& state) {
  Work work(lengths(state));
  const ExecutionOwner exec(static_cast<int>(state.range(0)));
  report(state, work, best_time(state, [&] { work.forward(exec.get()); }));
}

void prepared_step(benchmark::State& state) {
  Work work(lengths(state));
  const ExecutionOwner exec(static_cast<int>(state.range(0)));
  work.prepare(exec.get());
  report(state, work, best_time(state, [&] { work.forward(exec.get()); }));
}

void batch_shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"threads", "B", "T", "S", "D", "E"})->UseRealTime()->MinTime(0.1);
  for (const int threads : {1, 2}) {
    for (const int width : {64, 256, 512}) b->Args({threads, 16, 128, 128, width, width});
    b->Args({threads, 64, 30, 30, 512, 512})->Args({threads, 1, 128, 128, 256, 256});
    b->Args({threads, 1, 1024, 1024, 256, 256});
  }
}

void step_shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"threads", "B", "T", "S", "D", "E"})->UseRealTime()->MinTime(0.05);
  for (const int threads : {1, 2})
    for (const int keys : {20, 60})
      b->Args({threads, 1, 1, keys, 256, 256})->Args({threads, 64, 1, keys, 256, 512});
}

BENCHMARK(scores)->Apply(batch_shapes);
BENCHMARK(scores_of_large_inputs)->Apply(batch_shapes);
BENCHMARK(forward)->Apply(batch_shapes);
BENCHMARK(backward)->Apply(batch_shapes);
BENCHMARK(step)->Apply(step_shapes);
BENCHMARK(prepared_step)->Apply(step_shapes);
BENCHMARK(backward)->Name("step_backward")->Apply(step_shapes);

void write(const std::string& folder, const char* name, const std::vector<float>& values) {
  std::ofstream(folder + "/" + name, std::ios::binary)
      .write(reinterpret_cast<const char*>(values.data()),
             static_cast<std::streamsize>(values.size() * sizeof(float)));
}

// What peers/additive_attention.py asks for: times as a line of JSON, operands and results in a folder.
int peer(int count, char** words) {
  const auto number = [&](int i) { return std::atoll(words[i]); };
  Work work({number(1), number(2), number(3), number(4), number(5)});
  const ExecutionOwner exec(static_cast<int>(number(0)));
  double forward = 1e30, both = 1e30;
  for (long long i = 0; i < number(6); ++i) {
    const double first = seconds_of([&] { work.forward(exec.get()); });
    const double second = seconds_of([&] { work.backward(exec.get()); });
    forward = std::min(forward, first);
    both = std::min(both, first + second);
  }
  std::printf("{\"forward_ms\": %.4f, \"both_ms\": %.4f}\n", forward * 1e3, both * 1e3);
  if (count <= 7) return 0;
  const std::pair<const char*, const std::vector<float>*> tensors[] = {
      {"q", &work.q},         {"k", &work.k},
      {"v", &work.v},         {"value", &work.value},
      {"d_out", &work.d_out}, {"out", &work.out},
      {"d_q", &work.d_q},     {"d_k", &work.d_k},
      {"d_v", &work.d_v},     {"d_value", &work.d_value}};
  for (const auto& [name, values] : tensors) write(words[7], name, *values);
  return 0;
}

}  // namespace
}  // namespace fovea::kernels

int main(int argc, char** argv) {
  if (argc >= 9 && std::strcmp(argv[1], "--peer") == 0) return fovea::kernels::peer(argc - 2, argv + 2);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
}
