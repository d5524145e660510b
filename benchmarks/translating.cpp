// Speed of translating token ids with a model directory, for peers/translate.py.
//   translating MODEL SOURCES [--threads N] [--workers N] [--dtype f32|bf16|int8]
// SOURCES: a sentence a line, ids separated by spaces, end of sentence included. Says so when the model is
// loaded, then reads commands from standard input, a line each, and answers each with a line of JSON:
//   translate BEAM BATCH MIN MAX FIRST COUNT [FILE]   sentences FIRST .. FIRST + COUNT - 1, sorted by length,
//   BATCH at a
//                                                     time, each translation of MIN to MAX tokens; ids to
//                                                     FILE, if given
//   memory                                            the greatest memory held so far
//   machine BYTES                                     what a matrix product and a read over BYTES reach at
//                                                     best, and how many times as fast products of bf16 and
//                                                     int8 can be
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/decoding/jobs.h"
#include "fovea/decoding/translation_decoder.h"
#include "fovea/formats/json_writer.h"
#include "fovea/kernels/gemm.h"
#include "fovea/models/translation_folder.h"
#include "peak.h"
#include "plain_read.h"

namespace fovea {
namespace {

using Clock = std::chrono::steady_clock;
using formats::JsonWriter;
using Ids = std::vector<std::int32_t>;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

void answer(JsonWriter& json) {
  std::puts(json.end_object().finish().c_str());
  std::fflush(stdout);
}

std::vector<Ids> read_sources(const char* path) {
  std::ifstream in(path);
  if (!in) throw Error(Error::Kind::data, path, "cannot be read");
  std::vector<Ids> sources;
  for (std::string line; std::getline(in, line);) {
    std::istringstream ids(line);
    sources.emplace_back();
    for (std::int32_t id; ids >> id;) sources.back().push_back(id);
  }
  return sources;
}

// ru_maxrss would count what a parent held before exec.
double peak_memory() {
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("VmHWM:")) return 1024.0 * std::strtod(line.c_str() + 6, nullptr);
  return 0.0;
}

struct Task {
  std::int64_t beam = 1, batch = 1, min_length = 0, max_length = 1;
  std::size_t first = 0, count = 0;
  std::string file;
};

class Translating {
 public:
  Translating(const models::TranslationModel& model, decoding::Crew& crew, std::vector<Ids> sources)
      : model_(model), crew_(crew), sources_(std::move(sources)) {}

  void translate(const Task& task) const {
    if (task.first + task.count > sources_.size())
      throw Error(Error::Kind::usage, "translate", "there are only " + std::to_string(sources_.size()));
    const auto begin = Clock::now();
    const std::vector<decoding::Hypothesis> found = search(task);
    const double seconds = seconds_since(begin);
    std::size_t tokens = 0;
    for (const auto& one : found) tokens += length(one);
    if (!task.file.empty()) write(task.file, found);
    JsonWriter json(JsonWriter::Layout::compact);
    answer(json.begin_object().field("seconds", seconds).field("tokens", tokens));
  }

  // Best of many tries: a product of packed weights that fit the second cache, and a sum over `bytes`.
  void machine(std::size_t bytes) const {
    JsonWriter json(JsonWriter::Layout::compact);
    answer(json.begin_object()
               .field("flops", best_flops())
               .field("bandwidth", best_bandwidth(bytes))
               .field("bf16", products_a_product(DType::bf16))
               .field("int8", products_a_product(DType::i8)));
  }

 private:
  // Tokens that were generated, end of sentence included.
  static std::size_t length(const decoding::Hypothesis& one) {
    return one.tokens.size() + (one.complete ? 1 : 0);
  }

  std::vector<decoding::Hypothesis> search(const Task& task) const {
    decoding::BeamOptions options;
    options.beam = task.beam;
    options.stop = decoding::Stop::first;  // as CTranslate2: at the beam's number of complete hypotheses
    options.min_length = task.min_length;
    options.max_length = task.max_length;
    options.max_length_ratio = 0.0;
    options.max_length_extra = task.max_length;
    std::size_t given = 0;
    const auto next = [&]() -> std::unique_ptr<decoding::Job> {
      if (given == task.count) return nullptr;
      auto job = std::make_unique<decoding::Job>();
      job->requests.push_back({.source = sources_[task.first + given++]});
      return job;
    };
    std::vector<decoding::Hypothesis> best;
    const auto deliver = [&](const std::unique_ptr<decoding::Job>& job) {
      best.push_back(std::move(job->found[0].front()));
    };
    const auto decoder = [&](const kernels::Execution& exec) {
      return std::make_unique<decoding::TranslationDecoder>(model_, exec);
    };
    decoding::search_jobs(crew_, decoder, next, deliver, options,
                          {.max_rows = task.batch, .max_tokens = 1 << 20});
    return best;
  }

  static void write(const std::string& path, const std::vector<decoding::Hypothesis>& found) {
    std::ofstream out(path);
    for (const auto& one : found) {
      for (std::size_t t = 0; t < one.tokens.size(); ++t) out << (t ? " " : "") << one.tokens[t];
      out << '\n';
    }
    if (!out.flush()) throw Error(Error::Kind::machine, path, "cannot be written");
  }

  double best_flops() const {
    constexpr std::int64_t M = 192, N = 512, K = 256;
    const std::vector<float> a(M * K, 0.5f), b(N * K, 0.25f);
    std::vector<float> c(M * N);
    const auto packed = kernels::pack_b(crew_.together(), K, N, b.data(), K, true);
    double best = 1e9;
    for (int i = 0; i < 200; ++i) {
      const auto begin = Clock::now();
      kernels::gemm(crew_.together(), {.M = M, .N = N, .K = K, .lda = K, .ldb = K, .ldc = N}, a.data(),
                    packed, c.data());
      best = std::min(best, seconds_since(begin));
    }
    return 2.0 * M * N * K / best;
  }

  double best_bandwidth(std::size_t bytes) const {
    const auto count = static_cast<std::int64_t>(std::max<std::size_t>(bytes / sizeof(float), 4096));
    const Tensor memory = Tensor::full({count}, 1.0f);
    double best = 1e9;
    for (int i = 0; i < 20; ++i) {
      const auto begin = Clock::now();
      crew_.together().pool->parallel_for(count, 1024, [&](std::int64_t from, std::int64_t to) {
        benchmark::DoNotOptimize(plain_read(memory.f32() + from, to - from));
      });
      best = std::min(best, seconds_since(begin));
    }
    return static_cast<double>(count) * sizeof(float) / best;
  }

  const models::TranslationModel& model_;
  decoding::Crew& crew_;
  std::vector<Ids> sources_;
};

struct Settings {
  int threads = 1, workers = 0;
  std::optional<DType> dtype;
};

Settings read_settings(int argc, char** argv) {
  Settings settings;
  for (int i = 3; i + 1 < argc; i += 2) {
    const std::string name = argv[i], value = argv[i + 1];
    if (name == "--threads")
      settings.threads = std::atoi(value.c_str());
    else if (name == "--workers")
      settings.workers = std::atoi(value.c_str());
    else if (name == "--dtype")
      settings.dtype = value == "int8" ? DType::i8 : value == "bf16" ? DType::bf16 : DType::f32;
    else
      throw Error(Error::Kind::usage, printable(name), "is no option");
  }
  return settings;
}

void run(int argc, char** argv) {
  const auto began = Clock::now();
  const Settings settings = read_settings(argc, argv);
  decoding::Crew crew(settings.threads, settings.workers);
  const auto model = models::load_for_inference(argv[1], crew.together(), settings.dtype);
  const Translating translating(*model, crew, read_sources(argv[2]));
  JsonWriter ready(JsonWriter::Layout::compact);
  answer(ready.begin_object().field("loaded_seconds", seconds_since(began)));
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string command;
    words >> command;
    if (command == "translate") {
      Task task;
      words >> task.beam >> task.batch >> task.min_length >> task.max_length >> task.first >> task.count >>
          task.file;
      translating.translate(task);
    } else if (command == "machine") {
      std::size_t bytes = 0;
      words >> bytes;
      translating.machine(bytes);
    } else if (command == "memory") {
      JsonWriter json(JsonWriter::Layout::compact);
      answer(json.begin_object().field("peak", peak_memory()));
    } else {
      throw Error(Error::Kind::usage, printable(command), "is no command");
    }
  }
}

}  // namespace
}  // namespace fovea

int main(int argc, char** argv) try {
  if (argc < 3 || argc % 2 == 0)
    return std::fprintf(stderr,
                        "translating MODEL SOURCES [--threads N] [--workers N] [--dtype f32|bf16|int8]\n"),
           2;
  fovea::run(argc, argv);
  return 0;
} catch (const fovea::Error& error) {
  return std::fprintf(stderr, "%s\n", error.what()), static_cast<int>(error.kind());
}
