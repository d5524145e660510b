// Our matrix product beside oneDNN's, on the shapes of training and translating. Best of many calls: others
// use the machine, too. Names: KIND/M/N/K/threads/who; fovea_bf16 is fovea with Precision::bf16.
//   forward          C[M,N] = A[M,K] W[N,K]^T          packed           the same, W packed before
//   input_gradient   C = A[M,K] W[K,N]                 weight_gradient  C[M,N] += A[K,M]^T B[K,N]
//   taskset -c 0 bench_gemm --benchmark_filter='/1/'
//   bench_gemm --benchmark_filter='/2/'

#include <benchmark/benchmark.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "fovea/base/random.h"
#include "fovea/kernels/gemm.h"

#ifdef FOVEA_ONEDNN
#include <oneapi/dnnl/dnnl.hpp>

#include <unordered_map>
extern "C" void omp_set_num_threads(int);
#endif

namespace {

using fovea::kernels::Execution;
using fovea::kernels::ExecutionOwner;
using fovea::kernels::GemmExtents;

enum class Kind { forward, packed, input_gradient, weight_gradient };
constexpr const char* kind_names[] = {"forward", "packed", "input_gradient", "weight_gradient"};

struct Case {
  Kind kind;
  std::int64_t M, N, K;
  GemmExtents extents() const {
    const bool transpose_a = kind == Kind::weight_gradient, transpose_b = kind <= Kind::packed;
    return {M, N, K, transpose_a ? M : K, transpose_b ? K : N, N, transpose_a, transpose_b};
  }
};

std::vector<float> random_floats(std::int64_t count) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = fovea::uniform({1, 2, 3, 4}, i) - 0.5f;
  return values;
}

struct Operands {
  std::vector<float> A, B, C;
  explicit Operands(const Case& c)
      : A(random_floats(c.M * c.K)), B(random_floats(c.K * c.N)), C(random_floats(c.M * c.N)) {}
};

template <class Call>
void measure(benchmark::State& state, const Case& c, const Call& call) {
  using Clock = std::chrono::steady_clock;
  double best = 1e30;
  for (int i = 0; i < 3; ++i) call();
  for (auto _ : state) {
    const auto start = Clock::now();
    call();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  }
  state.counters["best_us"] = best * 1e6;
  state.counters["GFLOPs"] = 2e-9 * static_cast<double>(c.M * c.N * c.K) / best;
}

// One worker a core: on a busy machine the scheduler would put two on one and measure itself.
void bind_workers(const Execution& exec) {
  exec.pool->run([](int worker) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(worker, &set);
    sched_setaffinity(0, sizeof(set), &set);
  });
}

void run_ours(benchmark::State& state, const Case& c, int threads, fovea::kernels::Precision precision) {
  const ExecutionOwner owner(threads);
  Execution exec = owner.get();
  exec.precision = precision;
  cpu_set_t before;
  sched_getaffinity(0, sizeof(before), &before);
  if (threads > 1) bind_workers(exec);
  Operands o(c);
  const GemmExtents e = c.extents();
  if (c.kind == Kind::packed) {
    const auto packed = fovea::kernels::pack_b(exec, c.K, c.N, o.B.data(), e.ldb, true);
    measure(state, c, [&] { gemm(exec, e, o.A.data(), packed, o.C.data()); });
  } else {
    const bool accumulate = c.kind == Kind::weight_gradient;
    measure(state, c, [&] { gemm(exec, e, o.A.data(), o.B.data(), o.C.data(), {.accumulate = accumulate}); });
  }
  sched_setaffinity(0, sizeof(before), &before);
}

#ifdef FOVEA_ONEDNN
// oneDNN at its best: a primitive made once, weights in the layout it asks for where they can be packed
// before.
void run_onednn(benchmark::State& state, const Case& c, int threads) {
  using namespace dnnl;
  using Tag = memory::format_tag;
  omp_set_num_threads(threads);
  Operands o(c);
  const GemmExtents e = c.extents();
  const engine cpu(engine::kind::cpu, 0);
  stream queue(cpu);
  const auto description = [](std::int64_t rows, std::int64_t columns, Tag tag) {
    return memory::desc({rows, columns}, memory::data_type::f32, tag);
  };
  const auto a = description(c.M, c.K, e.transpose_a ? Tag::ba : Tag::ab);
  const auto b = description(c.K, c.N, e.transpose_b ? Tag::ba : Tag::ab);
  const auto c_out = description(c.M, c.N, Tag::ab);
  primitive_attr attributes;
  if (c.kind == Kind::weight_gradient) {
    post_ops sum;
    sum.append_sum(1.0f);
    attributes.set_post_ops(sum);
  }
  const auto wanted = c.kind == Kind::packed ? description(c.K, c.N, Tag::any) : b;
  const matmul::primitive_desc chosen(matmul::desc(a, wanted, c_out), attributes, cpu);
  memory A(a, cpu, o.A.data()), B(b, cpu, o.B.data()), C(c_out, cpu, o.C.data()), weights = B;
  if (chosen.weights_desc() != b) {
    weights = memory(chosen.weights_desc(), cpu);
    reorder(B, weights).execute(queue, B, weights);
  }
  const matmul product(chosen);
  const std::unordered_map<int, memory> arguments{
      {DNNL_ARG_SRC, A}, {DNNL_ARG_WEIGHTS, weights}, {DNNL_ARG_DST, C}};
  measure(state, c, [&] {
    product.execute(queue, arguments);
    queue.wait();
  });
}
#endif

std::vector<Case> cases() {
  std::vector<Case> all;
  constexpr std::int64_t layers[][2] = {{128, 128},  {128, 384},  {128, 256},  {256, 128},
                                        {256, 256},  {256, 1024}, {1024, 256}, {512, 512},
                                        {512, 1536}, {512, 2048}, {2048, 512}};
  for (const auto& [in, out] : layers) {
    for (const std::int64_t rows : {1, 4, 8, 16, 32, 256, 1000, 4096})
      for (const Kind kind : {Kind::forward, Kind::packed}) all.push_back({kind, rows, out, in});
    for (const std::int64_t rows : {256, 1000, 4096}) {
      all.push_back({Kind::input_gradient, rows, in, out});
      all.push_back({Kind::weight_gradient, out, in, rows});
    }
  }
  for (const std::int64_t rows : {256, 512})
    for (const std::int64_t width : {128, 256, 512}) {
      all.push_back({Kind::forward, rows, 10000, width});
      all.push_back({Kind::packed, rows, 10000, width});
      all.push_back({Kind::input_gradient, rows, width, 10000});
      all.push_back({Kind::weight_gradient, 10000, width, rows});
    }
  return all;
}

const bool registered = [] {
  for (const Case& c : cases())
    for (const int threads : {1, 2}) {
      const std::string name = std::string(kind_names[static_cast<int>(c.kind)]) + "/" + std::to_string(c.M) +
                               "/" + std::to_string(c.N) + "/" + std::to_string(c.K) + "/" +
                               std::to_string(threads) + "/";
      const auto add = [&](const char* who, auto run) {
        benchmark::RegisterBenchmark((name + who).c_str(),
                                     [=](benchmark::State& state) { run(state, c, threads); })
            ->UseRealTime()
            ->Unit(benchmark::kMicrosecond)
            ->MinTime(0.1);
      };
      const auto ours = [](fovea::kernels::Precision precision) {
        return [precision](benchmark::State& state, const Case& shape, int workers) {
          run_ours(state, shape, workers, precision);
        };
      };
      add("fovea", ours(fovea::kernels::Precision::f32));
      add("fovea_bf16", ours(fovea::kernels::Precision::bf16));
#ifdef FOVEA_ONEDNN
      add("onednn", run_onednn);
#endif
    }
  return true;
}();

}  // namespace
