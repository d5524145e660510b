// Attention: the cells that are compared with other libraries, sentences packed as in training, decoding.
// Best of many calls: others use the machine, too. GFLOP/s counts useful work, 2*(E + Ev) operations a
// visible pair forward and 2.5 times that backward; `share` is its part of what multiply-adds in registers
// reach on as many threads, measured right before.
//
//   bench_attention --benchmark_filter=cell.*threads:2          all cells (T = 8192 takes minutes)
//   bench_attention --benchmark_filter=cell/T:512/E:64 --benchmark_format=json
//   bench_attention --benchmark_filter=cell_bf16/T:512          operands in bf16, share of the peak of its
//   dot product taskset -c 0 bench_attention --benchmark_filter=threads:1   sentences and decoding, one core

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "fovea/base/random.h"
#include "fovea/kernels/attention.h"
#include "peak.h"

namespace fovea::kernels {
namespace {

// Seconds of the quickest call.
template <class Call>
double best_time(benchmark::State& state, const Call& call) {
  using Clock = std::chrono::steady_clock;
  double best = 1e30;
  for (auto _ : state) {
    const auto start = Clock::now();
    call();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  }
  state.counters["best_us"] = best * 1e6;
  return best;
}

// 8 sequences of 8 heads, q, k and v each [B,T,H,E].
template <class Real>
struct Cell {
  enum Kind { full, causal, window, padding };
  static constexpr std::int64_t sequences = 8, heads = 8;
  std::int64_t rows;
  std::vector<std::int64_t> starts, counts;
  std::vector<Real> q, k, v, out, d_out, d_q, d_k, d_v;
  std::vector<float> lse;
  AttentionExtents x;
  double pairs = 0.0;

  // `padding`: sequence b holds T - b*T/16 tokens of its T; `window`: a token sees itself and the 255 before.
  Cell(std::int64_t T, std::int64_t E, Kind kind, bool backward) : rows(sequences * T) {
    for (std::int64_t b = 0; b < sequences; ++b) {
      starts.push_back(b * T);
      counts.push_back(kind == padding ? T - b * T / 16 : T);
    }
    const auto fill = [&](std::vector<Real>& values, std::uint32_t site) {
      values.resize(rows * heads * E);
      const RandomKey key = RandomKey::of(1, 0, site);
      for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = i < 65536 ? Real(2.0f * uniform(key, i) - 1.0f) : values[i - 65521];
    };
    fill(q, 1);
    fill(k, 2);
    fill(v, 3);
    out.resize(q.size());
    lse.resize(rows * heads);
    if (backward) {
      fill(d_out, 4);
      d_q.resize(q.size());
      d_k.resize(q.size());
      d_v.resize(q.size());
    }
    x.sequences = sequences;
    x.heads = x.kv_heads = heads;
    x.key_width = x.value_width = E;
    x.q = x.k = x.v = x.out = {heads * E, E};
    x.q_start = x.k_start = starts.data();
    x.q_count = x.k_count = counts.data();
    x.scale = 1.0f / std::sqrt(static_cast<float>(E));
    if (kind == causal) x.visible = Visibility::causal();
    if (kind == window) x.visible = Visibility::window(255, 0);
    for (const std::int64_t n : counts)
      for (std::int64_t t = 0; t < n; ++t)
        pairs += static_cast<double>(kind == causal   ? t + 1
                                     : kind == window ? std::min<std::int64_t>(t + 1, 256)
                                                      : n);
  }
  double operations() const { return 4.0 * heads * static_cast<double>(x.key_width) * pairs; }
  void forward(const Execution& exec) {
    attention_forward(exec, x, {q.data(), k.data(), v.data()}, out.data(), lse.data(), rows);
  }
  void backward(const Execution& exec) {
    attention_backward(exec, x, {q.data(), k.data(), v.data()}, out.data(), lse.data(), rows, d_out.data(),
                       {d_q.data(), d_k.data(), d_v.data()});
  }
};

// Arguments: T, E, kind, whether backward follows, threads.
template <class Real>
void cell(benchmark::State& state) {
  const bool both = state.range(3) != 0;
  using Work = Cell<Real>;
  Work work(state.range(0), state.range(1), static_cast<typename Work::Kind>(state.range(2)), both);
  const ExecutionOwner exec(static_cast<int>(state.range(4)));
  double peak = measured_peak(exec.get(), sizeof(Real) == 2);
  double best_backward = 1e30;
  const double seconds = best_time(state, [&] {
    work.forward(exec.get());
    if (!both) return;
    const auto start = std::chrono::steady_clock::now();
    work.backward(exec.get());
    best_backward = std::min(best_backward,
                             std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  });
  peak = std::max(peak, measured_peak(exec.get(), sizeof(Real) == 2));
  const double rate = (both ? 3.5 : 1.0) * work.operations() / seconds;
  state.counters["GFLOPs"] = rate * 1e-9;
  state.counters["peak_GFLOPs"] = peak * 1e-9;
  if (peak > 0.0) state.counters["share"] = rate / peak;
  if (both && peak > 0.0) state.counters["backward_share"] = 2.5 * work.operations() / best_backward / peak;
}

// Sentences of `length` tokens in a packed QKV matrix of rows 3*H*E.
struct Sentences {
  std::int64_t count, length, heads, width;
  std::vector<std::int64_t> starts, counts;
  std::vector<float> qkv, out, d_out, d_qkv, lse;
  AttentionExtents x;

  Sentences(std::int64_t sentences, std::int64_t tokens, std::int64_t h, std::int64_t e, bool causal,
            float dropout)
      : count(sentences), length(tokens), heads(h), width(e), counts(sentences, tokens) {
    const std::int64_t rows = count * length, d = heads * width;
    for (std::int64_t b = 0; b < count; ++b) starts.push_back(b * length);
    qkv.resize(rows * 3 * d);
    d_qkv.resize(rows * 3 * d);
    out.resize(rows * d);
    d_out.resize(rows * d);
    lse.resize(rows * heads);
    const RandomKey key = RandomKey::of(1, 0, 0);
    for (std::size_t i = 0; i < qkv.size(); ++i) qkv[i] = uniform(key, i) - 0.5f;
    for (std::size_t i = 0; i < d_out.size(); ++i) d_out[i] = uniform(key, i) - 0.5f;
    x.sequences = count;
    x.heads = x.kv_heads = heads;
    x.key_width = x.value_width = width;
    x.q = x.k = x.v = {3 * d, width};
    x.out = {d, width};
    x.q_start = x.k_start = starts.data();
    x.q_count = x.k_count = counts.data();
    if (causal) x.visible = Visibility::causal();
    x.scale = 0.125f;
    x.dropout = {dropout, key};
  }
  double operations() const {
    const double pairs =
        x.visible.right == 0 ? length * (length + 1) / 2.0 : static_cast<double>(length) * length;
    return 4.0 * count * heads * pairs * width;
  }
  void forward(const Execution& exec) {
    const std::int64_t d = heads * width;
    attention_forward(exec, x, {qkv.data(), qkv.data() + d, qkv.data() + 2 * d}, out.data(), lse.data(),
                      count * length);
  }
  void backward(const Execution& exec) {
    const std::int64_t d = heads * width;
    attention_backward(exec, x, {qkv.data(), qkv.data() + d, qkv.data() + 2 * d}, out.data(), lse.data(),
                       count * length, d_out.data(), {d_qkv.data(), d_qkv.data() + d, d_qkv.data() + 2 * d});
  }
};

// Arguments: threads, T, E, causal, dropout in percent.
Sentences problem(const benchmark::State& state) {
  const std::int64_t length = state.range(1), width = state.range(2);
  const std::int64_t heads = length > 256 ? 2 : 512 / width;
  const std::int64_t count = length > 256 ? 1 : std::max<std::int64_t>(1, 256 / length * state.range(0));
  return Sentences(count, length, heads, width, state.range(3) != 0,
                   static_cast<float>(state.range(4)) / 100.0f);
}

void forward(benchmark::State& state) {
  Sentences work = problem(state);
  const ExecutionOwner exec(static_cast<int>(state.range(0)));
  const double seconds = best_time(state, [&] { work.forward(exec.get()); });
  state.counters["GFLOPs"] = work.operations() * 1e-9 / seconds;
}

void backward(benchmark::State& state) {
  Sentences work = problem(state);
  const ExecutionOwner exec(static_cast<int>(state.range(0)));
  work.forward(exec.get());
  const double seconds = best_time(state, [&] { work.backward(exec.get()); });
  state.counters["GFLOPs"] = 2.5 * work.operations() * 1e-9 / seconds;
}

// Arguments: threads, keys, E, rows by index.
void decode(benchmark::State& state) {
  const std::int64_t beams = 64, heads = 8, keys = state.range(1), width = state.range(2), d = heads * width;
  std::vector<std::int64_t> q_start(beams), k_start(beams), ones(beams, 1), counts(beams, keys);
  std::iota(q_start.begin(), q_start.end(), 0);
  for (std::int64_t b = 0; b < beams; ++b) k_start[b] = b * keys;
  std::vector<std::int32_t> rows(beams * keys);
  std::iota(rows.begin(), rows.end(), 0);
  const std::vector<float> q(beams * d, 0.1f), k(beams * keys * d, 0.1f), v(beams * keys * d, 0.1f);
  std::vector<float> out(beams * d);
  AttentionExtents x;
  x.sequences = beams;
  x.heads = x.kv_heads = heads;
  x.key_width = x.value_width = width;
  x.q = x.k = x.v = x.out = {d, width};
  x.q_start = q_start.data();
  x.q_count = ones.data();
  x.k_start = k_start.data();
  x.k_count = counts.data();
  if (state.range(3)) x.key_rows = rows.data();
  const ExecutionOwner exec(static_cast<int>(state.range(0)));
  const double seconds = best_time(state, [&] {
    attention_forward(exec.get(), x, {q.data(), k.data(), v.data()}, out.data(), nullptr, 0);
  });
  state.counters["GBs"] = 8e-9 * static_cast<double>(beams * keys * d) / seconds;
}

void cell_shapes(benchmark::internal::Benchmark* b) {
  using Cell = Cell<float>;
  b->ArgNames({"T", "E", "kind", "backward", "threads"})->UseRealTime()->MinTime(0.5);
  for (const int both : {0, 1})
    for (const int kind : {Cell::full, Cell::causal, Cell::window, Cell::padding})
      for (const int length : {32, 128, 512, 2048, 8192})
        for (const int threads : {2, 1}) b->Args({length, 64, kind, both, threads});
  for (const int both : {0, 1})
    for (const int width : {80, 128})
      for (const int kind : {Cell::full, Cell::causal}) b->Args({512, width, kind, both, 2});
}

void sentence_shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"threads", "T", "E", "causal", "drop"})->UseRealTime()->MinTime(0.04);
  for (const int threads : {1, 2})
    for (const int width : {32, 64})
      for (const int length : {8, 15, 16, 20, 32, 60})
        for (const int causal : {0, 1}) b->Args({threads, length, width, causal, 0});
  for (const int threads : {1, 2})
    for (const int length : {15, 32})
      b->Args({threads, length, 64, 0, 10})->Args({threads, length, 64, 1, 10});
  for (const int threads : {1, 2})
    for (const int length : {512, 2048})
      for (const int causal : {0, 1}) b->Args({threads, length, 64, causal, 0});
}

void decode_shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"threads", "S", "E", "indexed"})->UseRealTime()->MinTime(0.04);
  for (const int threads : {1, 2})
    for (const int keys : {20, 200})
      for (const int indexed : {0, 1}) b->Args({threads, keys, 64, indexed});
}

BENCHMARK(cell<float>)->Name("cell")->Apply(cell_shapes);
BENCHMARK(cell<bfloat16>)->Name("cell_bf16")->Apply(cell_shapes);
BENCHMARK(forward)->Apply(sentence_shapes);
BENCHMARK(backward)->Apply(sentence_shapes);
BENCHMARK(decode)->Apply(decode_shapes);

}  // namespace
}  // namespace fovea::kernels
