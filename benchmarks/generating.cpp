// Speed of a language model that goes on from prompts, for peers/generate.py.
//   generating MODEL [--threads N] [--dtype f32|bf16|int8]
//   generating --write DIR          a model of GPT-2-small's shape with random weights, and nothing else
// Says so when the model is loaded, then reads commands from standard input, a line each, and answers each
// with a line of JSON:
//   generate BATCH PROMPT TOKENS    greedily TOKENS tokens after each of BATCH prompts of PROMPT tokens: all
//                                   seconds, and of the steps the median and the least
//   machine                         bytes of weights that a step reads, and the bandwidth that a plain read
//   over
//                                   as many reaches at best
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/decoding/beam_search.h"
#include "fovea/decoding/language_decoder.h"
#include "fovea/formats/json_writer.h"
#include "fovea/models/language_folder.h"
#include "plain_read.h"

namespace fovea {
namespace {

using Clock = std::chrono::steady_clock;
using formats::JsonWriter;
using Ids = std::vector<std::int32_t>;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values.empty() ? 0.0 : values[values.size() / 2];
}

void answer(JsonWriter& json) {
  std::puts(json.end_object().finish().c_str());
  std::fflush(stdout);
}

// The numbers that Transformers has in GPT2Config().
void write_random(const std::filesystem::path& folder) {
  const models::LanguageConfig config = models::Gpt2Config{};
  std::filesystem::create_directories(folder);
  write_atomically(folder / "config.json", models::config_json(config, DType::f32));
  models::make_language_model(config)
      ->weights_file(DType::f32, {{"format", "pt"}})
      .save(folder / "model.safetensors");
}

class Generating {
 public:
  Generating(const models::LanguageModel& model, const kernels::Execution& exec)
      : model_(model), exec_(exec) {}

  void generate(std::int64_t batch, std::int64_t prompt, std::int64_t tokens) const {
    std::vector<double> steps;
    auto last = Clock::now();
    decoding::BeamOptions options{
        .beam = 1, .max_length_ratio = 0.0, .max_length_extra = tokens, .max_length = tokens};
    options.on_token = [&](const decoding::StreamedToken& token) {
      if (token.sentence + 1 == static_cast<std::size_t>(batch)) {
        if (token.position > 0) steps.push_back(seconds_since(last));
        last = Clock::now();
      }
      return true;
    };
    const decoding::LanguageDecoder decoder(model_, exec_, {.ends = Ids{}});
    const auto begin = Clock::now();
    const auto found = decoding::beam_search(decoder, prompts(batch, prompt), options);
    const double seconds = seconds_since(begin);
    JsonWriter json(JsonWriter::Layout::compact);
    answer(json.begin_object()
               .field("seconds", seconds)
               .field("step", median(steps))
               .field("best_step", steps.empty() ? 0.0 : std::ranges::min(steps))
               .field("tokens", count(found)));
  }

  void machine() const {
    const std::size_t bytes = weights();
    JsonWriter json(JsonWriter::Layout::compact);
    answer(json.begin_object().field("bytes", bytes).field("bandwidth", best_bandwidth(bytes)));
  }

 private:
  std::vector<Ids> prompts(std::int64_t batch, std::int64_t length) const {
    std::vector<Ids> prompts(static_cast<std::size_t>(batch));
    for (std::int64_t b = 0; b < batch; ++b)
      for (std::int64_t t = 0; t < length; ++t)
        prompts[static_cast<std::size_t>(b)].push_back(
            static_cast<std::int32_t>((17 + 101 * b + 37 * t) % (model_.vocabulary().size - 1)));
    return prompts;
  }

  static std::size_t count(const std::vector<std::vector<decoding::Hypothesis>>& found) {
    std::size_t tokens = 0;
    for (const auto& one : found) tokens += one.front().tokens.size();
    return tokens;
  }

  // Those of a position or a token alone are nothing beside them.
  std::size_t weights() const {
    std::size_t bytes = 0;
    for (const auto& parameter : model_.parameters().all())
      if (parameter.multiplies) bytes += parameter.packed.bytes();
    return bytes;
  }

  double best_bandwidth(std::size_t bytes) const {
    const auto count = static_cast<std::int64_t>(std::max<std::size_t>(bytes / sizeof(float), 4096));
    const Tensor memory = Tensor::full({count}, 1.0f);
    double best = 1e9;
    for (int i = 0; i < 20; ++i) {
      const auto begin = Clock::now();
      exec_.pool->parallel_for(count, 1024, [&](std::int64_t from, std::int64_t to) {
        benchmark::DoNotOptimize(plain_read(memory.f32() + from, to - from));
      });
      best = std::min(best, seconds_since(begin));
    }
    return static_cast<double>(count) * sizeof(float) / best;
  }

  const models::LanguageModel& model_;
  const kernels::Execution& exec_;
};

DType dtype_named(const std::string& name) {
  return name == "int8" ? DType::i8 : name == "bf16" ? DType::bf16 : DType::f32;
}

void serve(const std::filesystem::path& folder, int threads, DType dtype) {
  const kernels::ExecutionOwner owner(threads);
  const auto model = models::load_language_model_for_inference(folder, owner.get(), dtype);
  const Generating generating(*model, owner.get());
  std::puts("{}");
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string command;
    std::int64_t batch = 1, prompt = 16, tokens = 64;
    words >> command >> batch >> prompt >> tokens;
    if (command == "generate")
      generating.generate(batch, prompt, tokens);
    else if (command == "machine")
      generating.machine();
    else
      throw Error(Error::Kind::usage, "generating", "unknown command '" + command + "'");
  }
}

}  // namespace
}  // namespace fovea

int main(int argc, char** argv) try {
  if (argc < 2) {
    std::fputs("generating MODEL [--threads N] [--dtype f32|bf16|int8] | generating --write DIR\n", stderr);
    return 2;
  }
  if (std::string(argv[1]) == "--write" && argc == 3) {
    fovea::write_random(argv[2]);
    return 0;
  }
  int threads = 1;
  fovea::DType dtype = fovea::DType::f32;
  for (int i = 2; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    if (name == "--threads") threads = std::atoi(argv[i + 1]);
    if (name == "--dtype") dtype = fovea::dtype_named(argv[i + 1]);
  }
  fovea::serve(argv[1], threads, dtype);
  return 0;
} catch (const fovea::Error& error) {
  std::fprintf(stderr, "generating: %s\n", error.what());
  return 1;
}
