// Attention of one query over a cache: bytes of keys and values read in a second, beside what a plain read of
// the same memory reaches in the same run. Best of many calls: others use the machine, too. As many sequences
// (B), of 4 cached heads of E = 64, as fill 192 MB: well over the last cache. Names: DTYPE/S/GROUP/threads:N;
// GROUP is the query heads that share a cached head.
//
//   taskset -c 0 bench_decode_attention --benchmark_filter=threads:1
//   bench_decode_attention --benchmark_filter=threads:2

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "fovea/base/random.h"
#include "fovea/kernels/decode_attention.h"
#include "fovea/tensor/tensor.h"
#include "plain_read.h"

namespace fovea::kernels {
namespace {

constexpr std::int64_t kv_heads = 4, width = 64, page_tokens = 256;
constexpr std::int64_t cache_bytes = 192 << 20;

struct Case {
  DType dtype;
  std::int64_t length, group;
  int threads;
  std::string name() const {
    return std::string(name_of(dtype)) + "/" + std::to_string(length) + "/" + std::to_string(group) +
           "/threads:" + std::to_string(threads);
  }
};

// Sequences of one length, their pages side by side, as many as fill cache_bytes.
struct Problem {
  CacheLayout layout;
  Tensor memory, q, out;
  std::vector<const std::byte*> pages;
  std::vector<std::int64_t> page_start, first, length, q_start, ones;
  DecodeExtents x;

  explicit Problem(const Case& c) {
    const std::int64_t page = std::min(c.length, page_tokens), pages_each = (c.length + page - 1) / page;
    layout = {c.dtype, kv_heads, width, width, page};
    const std::int64_t B = std::max<std::int64_t>(1, cache_bytes / (pages_each * layout.page_bytes()));
    memory = Tensor::empty({B * pages_each * layout.page_bytes() / 4});
    fill();
    for (std::int64_t b = 0; b < B; ++b) {
      page_start.push_back(b * pages_each);
      q_start.push_back(b);
      for (std::int64_t i = 0; i < pages_each; ++i)
        pages.push_back(memory.raw() + (b * pages_each + i) * layout.page_bytes());
    }
    first.assign(B, 0);
    length.assign(B, c.length);
    ones.assign(B, 1);
    x.sequences = B;
    x.heads = c.group * kv_heads;
    x.q = x.out = {x.heads * width, width};
    x.q_start = q_start.data();
    x.q_count = ones.data();
    x.scale = 0.125f;
    q = Tensor::full({B, x.heads * width}, 0.1f);
    out = Tensor::empty({B, x.heads * width});
  }

  // The same page everywhere: the time does not depend on what is in it.
  void fill() {
    const std::int64_t row = kv_heads * width, tokens = layout.page_tokens;
    std::vector<float> values(static_cast<std::size_t>(tokens * row));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = uniform({1, 2, 3, 4}, i) - 0.5f;
    const HeadRows rows{values.data(), {row, width}};
    const std::int64_t bytes = layout.page_bytes(), all = static_cast<std::int64_t>(memory.bytes());
    for (std::int64_t at = 0; at < all; at += bytes)
      if (at == 0)
        store_tokens(layout, memory.raw(), 0, tokens, rows, rows);
      else
        std::copy_n(memory.raw(), bytes, memory.raw() + at);
  }

  void call(const Execution& exec) {
    decode_attention(exec, x, {layout, pages.data(), page_start.data(), first.data(), length.data()}, q.f32(),
                     out.f32());
  }
  double bytes() const {
    return static_cast<double>(x.sequences * length[0] * kv_heads) *
           (2.0 * width * static_cast<double>(size_of(layout.dtype)) +
            (layout.dtype == DType::i8 ? 8.0 : 0.0));
  }
};

void read(const Execution& exec, const Tensor& memory) {
  exec.pool->parallel_for(memory.elements(), 1 << 16, [&](std::int64_t begin, std::int64_t end) {
    benchmark::DoNotOptimize(plain_read(memory.f32() + begin, end - begin));
  });
}

template <class Call>
double seconds_of(const Call& call) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  call();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void run(benchmark::State& state, const Case& c) {
  const ExecutionOwner owner(c.threads);
  Problem problem(c);
  double best = 1e30, best_read = 1e30;
  for (auto _ : state) {  // in turn, so that both meet the same neighbours
    best_read = std::min(best_read, seconds_of([&] { read(owner.get(), problem.memory); }));
    best = std::min(best, seconds_of([&] { problem.call(owner.get()); }));
  }
  const double read_rate = static_cast<double>(problem.memory.bytes()) / best_read;
  state.counters["GBs"] = problem.bytes() / best * 1e-9;
  state.counters["read_GBs"] = read_rate * 1e-9;
  state.counters["share_%"] = 100.0 * problem.bytes() / best / read_rate;
  state.counters["us"] = best * 1e6;
  state.counters["B"] = static_cast<double>(problem.x.sequences);
}

const bool registered = [] {
  for (const int threads : {1, 2})
    for (const DType dtype : {DType::f32, DType::bf16, DType::i8})
      for (const std::int64_t length : {128, 2048, 32768})
        for (const std::int64_t group : {1, 2, 4, 8}) {
          const Case c{dtype, length, group, threads};
          benchmark::RegisterBenchmark(c.name().c_str(), [c](benchmark::State& state) { run(state, c); })
              ->UseRealTime()
              ->Unit(benchmark::kMillisecond)
              ->MinTime(0.25);
        }
  return true;
}();

}  // namespace
}  // namespace fovea::kernels
