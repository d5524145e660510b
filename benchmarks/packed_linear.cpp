// Products with packed weights against what the machine allows: for each cell the larger of two times,
// products at the peak of arithmetic and weights at the speed at which a buffer of their size is read here.
// Best of many calls.
//   taskset -c 0 bench_packed_linear --threads 1
//   bench_packed_linear --threads 2 --dtype i8 --width 512 --rows 1,8

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/base/random.h"
#include "fovea/kernels/packed_linear.h"
#include "peak.h"
#include "plain_read.h"

namespace {

using fovea::DType;
using fovea::kernels::Execution;
using fovea::kernels::ExecutionOwner;
using fovea::kernels::LinearRows;

template <class Call>
double best_seconds(double budget, const Call& call) {
  using Clock = std::chrono::steady_clock;
  double best = 1e30, spent = 0.0;
  for (int i = 0; i < 3 || (spent < budget && i < 200000); ++i) {
    const auto start = Clock::now();
    call();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    best = std::min(best, seconds);
    spent += seconds;
  }
  return best;
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

double measure_peak(const Execution& exec) { return 0.5 * fovea::measured_peak(exec); }

// Bytes a second of a buffer that all workers read again and again.
double measure_read(const Execution& exec, std::size_t bytes) {
  static std::map<std::pair<int, std::size_t>, double> known;
  const int workers = exec.pool->size();
  double& speed = known[{workers, bytes}];
  if (speed > 0.0) return speed;
  const std::vector<float> buffer(bytes / sizeof(float));
  const std::size_t part = buffer.size() / static_cast<std::size_t>(workers) / 64 * 64;
  volatile float sink = 0.0f;
  // Small buffers many times in a region, so that its start does not count.
  const int times = static_cast<int>(std::max<std::size_t>(1, (4 << 20) / bytes));
  const double seconds = best_seconds(0.1, [&] {
    exec.pool->run([&](int worker) {
      for (int i = 0; i < times; ++i)
        sink = fovea::plain_read(buffer.data() + static_cast<std::size_t>(worker) * part,
                                 static_cast<std::int64_t>(part));
    });
  });
  return speed = static_cast<double>(times) * static_cast<double>(part * sizeof(float)) * workers / seconds;
}

struct Options {
  int threads = 1;
  std::string dtype, rows = "1,2,4,8,16,32,128,512";
  std::int64_t width = 0;
  double budget = 0.04;
};

struct Shape {
  std::int64_t K, N;
};
constexpr Shape shapes[] = {{128, 128},  {128, 256},  {256, 10000}, {512, 512},
                            {512, 2048}, {2048, 512}, {512, 32000}};

void measure(const Execution& exec, const Options& options, const Shape& shape, DType dtype, double peak) {
  std::vector<float> W(static_cast<std::size_t>(shape.N * shape.K));
  for (std::size_t i = 0; i < W.size(); ++i) W[i] = fovea::uniform({1, 2, 3, 4}, i) - 0.5f;
  const auto packed = pack_linear(exec, dtype, LinearRows{.data = W.data(), .N = shape.N, .K = shape.K});
  const double products_peak = peak * fovea::products_a_product(dtype);
  const double read = measure_read(exec, packed.bytes());
  std::printf("%-5s %5ld -> %-6ld", std::string(name_of(dtype)).c_str(), shape.K, shape.N);
  for (const char* at = options.rows.c_str(); *at;) {
    char* end;
    const std::int64_t M = std::strtol(at, &end, 10);
    at = *end ? end + 1 : end;
    std::vector<float> x(static_cast<std::size_t>(M * shape.K)), y(static_cast<std::size_t>(M * shape.N));
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = fovea::uniform({5, 6, 7, 8}, i) - 0.5f;
    const double seconds = best_seconds(options.budget, [&] { linear(exec, M, x.data(), packed, y.data()); });
    const double products = static_cast<double>(M * shape.N * shape.K);
    const double by_arithmetic = products / products_peak,
                 by_reading = static_cast<double>(packed.bytes()) / read;
    std::printf(" | %8.1f us %5.0f %3.0f%%%c", seconds * 1e6, 2e-9 * products / seconds,
                100.0 * std::max(by_arithmetic, by_reading) / seconds,
                by_arithmetic > by_reading ? ' ' : 'r');
    std::fflush(stdout);
  }
  std::printf(" | reads %.0f GB/s\n", read * 1e-9);
}

Options parse(int count, char** words) {
  Options options;
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string_view name = words[i];
    if (name == "--threads") options.threads = std::atoi(words[i + 1]);
    if (name == "--dtype") options.dtype = words[i + 1];
    if (name == "--rows") options.rows = words[i + 1];
    if (name == "--width") options.width = std::atoi(words[i + 1]);
    if (name == "--budget") options.budget = std::atof(words[i + 1]);
  }
  return options;
}

}  // namespace

int main(int count, char** words) {
  const Options options = parse(count, words);
  const ExecutionOwner owner(options.threads);
  if (options.threads > 1) bind_workers(owner.get());
  const double peak = measure_peak(owner.get());
  std::printf("%s, %d threads; peak %.0f GFLOP/s in f32, %.0f times in bf16, %.0f times in i8\n",
              std::string(name_of(owner.get().kernels)).c_str(), options.threads, 2e-9 * peak,
              fovea::products_a_product(DType::bf16), fovea::products_a_product(DType::i8));
  std::printf("us, GFLOP/s and share of the roof (r: of reading) at M = %s\n", options.rows.c_str());
  for (const DType dtype : {DType::f32, DType::bf16, DType::i8})
    for (const Shape& shape : shapes)
      if ((options.dtype.empty() || options.dtype == name_of(dtype)) &&
          (!options.width || options.width == shape.K))
        measure(owner.get(), options, shape, dtype, peak);
}
