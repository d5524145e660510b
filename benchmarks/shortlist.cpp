// Translating with and without a shortlist: random weights (Transformer-base, 32,000 tokens;
// Transformer-tiny, 10,000), sentences of 24 tokens, translations of 24 tokens. Tokens are as frequent as
// Zipf's law has it; a sentence's candidates are as many as a learnt shortlist gives it: 40 for each of its
// tokens and 400 for every sentence.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "fovea/base/random.h"
#include "fovea/decoding/beam_search.h"
#include "fovea/decoding/translation_decoder.h"
#include "fovea/models/transformer.h"

namespace fovea {
namespace {

using Ids = std::vector<std::int32_t>;
constexpr std::int64_t length = 24;

models::TransformerConfig config_of(const std::string& size) {
  models::TransformerConfig config;
  config.source_vocabulary = config.target_vocabulary = 32000;
  if (size == "base") return config;
  config.source_vocabulary = config.target_vocabulary = 10000;
  config.encoder_layers = config.decoder_layers = 4;
  config.width = 128;
  config.feed_forward = 256;
  config.heads = 4;
  return config;
}

std::unique_ptr<models::Transformer> packed_model(const std::string& size, const kernels::Execution& exec,
                                                  DType dtype) {
  const models::Transformer random(config_of(size), 1);
  auto model = std::make_unique<models::Transformer>(random.config(), models::Declared{});
  auto from = random.parameters().all().begin();
  model->parameters().load(exec, dtype, [&](const nn::Parameter&) {
    return nn::StoredRows{(from++)->value, {}};
  });
  return model;
}

// A token whose rank is r with a probability of about 1 / (r log V).
std::int32_t token_of(const RandomKey& key, std::uint64_t element, std::uint32_t vocabulary) {
  const double share = (0.5 + below(key, element, 1 << 20)) / (1 << 20);
  return 2 + static_cast<std::int32_t>(std::pow(static_cast<double>(vocabulary - 3), share));
}

decoding::Request request(std::uint32_t number, std::uint32_t vocabulary, bool restricted) {
  const auto key = RandomKey::of(7, number, 1);
  decoding::Request request;
  std::set<std::int32_t> ids;
  for (std::int32_t id = 3; id < 403; ++id) ids.insert(id);
  for (std::uint64_t s = 0; s + 1 < length; ++s) {
    const auto token = token_of(key, s, vocabulary);
    request.source.push_back(token);
    const auto candidates = RandomKey::of(8, static_cast<std::uint32_t>(token), 2);
    for (std::uint64_t i = 0; i < 40; ++i) ids.insert(token_of(candidates, i, vocabulary));
  }
  request.source.push_back(0);
  if (restricted) request.allowed = std::make_shared<const Ids>(ids.begin(), ids.end());
  return request;
}

void translate(benchmark::State& state, const std::string& size, DType dtype, std::int64_t batch,
               bool restricted) {
  const kernels::ExecutionOwner owner(1);
  const auto model = packed_model(size, owner.get(), dtype);
  const decoding::TranslationDecoder decoder(*model, owner.get());
  const std::int64_t count = 2 * batch;
  const decoding::BeamOptions options{
      .beam = 1, .max_length_ratio = 0.0, .max_length_extra = length, .min_length = length};
  for (auto _ : state) {
    std::vector<decoding::Request> requests;
    for (std::int64_t i = 0; i < count; ++i)
      requests.push_back(request(static_cast<std::uint32_t>(i),
                                 static_cast<std::uint32_t>(model->vocabulary().target), restricted));
    benchmark::DoNotOptimize(
        decoding::beam_search(decoder, std::move(requests), options, {.max_rows = batch}));
  }
  state.counters["tokens/s"] =
      benchmark::Counter(static_cast<double>(count * length), benchmark::Counter::kIsIterationInvariantRate);
}

[[maybe_unused]] const bool registered = [] {
  for (const std::string size : {"base", "tiny"})
    for (const DType dtype : {DType::f32, DType::i8})
      for (const std::int64_t batch : {1, 32})
        for (const bool restricted : {false, true})
          benchmark::RegisterBenchmark(
              (size + "/" + std::string(name_of(dtype)) + "/batch:" + std::to_string(batch) +
               (restricted ? "/shortlist" : "/all"))
                  .c_str(),
              [=](benchmark::State& state) { translate(state, size, dtype, batch, restricted); })
              ->Unit(benchmark::kMillisecond);
  return true;
}();

}  // namespace
}  // namespace fovea
