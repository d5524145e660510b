// Speed of training a Transformer for translation on batches from a file, for peers/train_translation.py.
//   training BATCHES [--preset tiny|small|base] [--vocabulary V] [--threads N] [--updates N] [--warm N]
//   [--inner-dropout P]
// BATCHES: a pair a line, "source ids TAB target ids" separated by spaces, without end of sentence; an empty
// line ends a batch. Timed update i takes batch i, after `warm` updates that are not timed. Dropout is 0.1 on
// embeddings and sublayers, P on attention weights and activations. Prints target tokens a second of the
// median update, and the losses (nats a token, smoothing included) and gradient norm that the other side
// should have too.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "fovea/data/batcher.h"
#include "fovea/models/transformer.h"
#include "fovea/training/optimiser.h"

namespace fovea {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int32_t eos = 0, pad = 2;

std::vector<std::int32_t> ids_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::int32_t> ids;
  for (std::int32_t id; in >> id;) ids.push_back(id);
  return ids;
}

void add_pair(data::Batch& batch, const std::vector<std::int32_t>& source,
              const std::vector<std::int32_t>& target) {
  const auto append = [](std::vector<std::int32_t>& to, const std::vector<std::int32_t>& ids) {
    to.insert(to.end(), ids.begin(), ids.end());
  };
  append(batch.source, source);
  batch.source.push_back(eos);
  batch.target_in.push_back(pad);
  append(batch.target_in, target);
  append(batch.target_out, target);
  batch.target_out.push_back(eos);
  batch.source_start.push_back(static_cast<std::int32_t>(batch.source.size()));
  batch.target_start.push_back(static_cast<std::int32_t>(batch.target_in.size()));
}

std::vector<data::Batch> read_batches(const char* path) {
  std::ifstream in(path);
  data::Batch fresh;
  fresh.source_start = fresh.target_start = {0};
  std::vector<data::Batch> batches{fresh};
  for (std::string line; std::getline(in, line);) {
    const auto tab = line.find('\t');
    if (tab == std::string::npos) {
      batches.push_back(fresh);
    } else {
      add_pair(batches.back(), ids_of(line.substr(0, tab)), ids_of(line.substr(tab + 1)));
    }
  }
  if (batches.back().source.empty()) batches.pop_back();
  return batches;
}

models::TransformerConfig config_of(const std::string& preset, std::int64_t vocabulary, float inner_dropout) {
  models::TransformerConfig config;
  config.source_vocabulary = config.target_vocabulary = vocabulary;
  if (preset == "tiny") {
    config.encoder_layers = config.decoder_layers = 4, config.width = 128, config.feed_forward = 256,
    config.heads = 4;
  } else if (preset == "small") {
    config.encoder_layers = config.decoder_layers = 3, config.width = 256, config.feed_forward = 1024,
    config.heads = 8;
  } else if (preset != "base") {
    std::fprintf(stderr, "training: no preset %s\n", preset.c_str());
    std::exit(2);
  }
  config.attention_dropout = config.activation_dropout = inner_dropout;
  return config;
}

// Multiply-adds of the matrix products of one update, forward and backward, times two.
double flops_of(const models::TransformerConfig& c, const data::Batch& batch) {
  const double D = double(c.width), F = double(c.feed_forward), S = double(batch.source.size()),
               T = double(batch.target_in.size());
  const double encoder = S * double(c.encoder_layers) * (4 * D * D + 2 * D * F);
  const double decoder = double(c.decoder_layers) * (T * (6 * D * D + 2 * D * F) + S * 2 * D * D);
  return 6.0 * (encoder + decoder + T * D * double(c.target_vocabulary));
}

int run(int argc, char** argv) {
  std::map<std::string, std::string> options{{"--preset", "tiny"}, {"--vocabulary", "10000"},
                                             {"--threads", "2"},   {"--updates", "20"},
                                             {"--warm", "3"},      {"--inner-dropout", "0.1"}};
  if (argc < 2) return std::fprintf(stderr, "training BATCHES [--preset tiny|small|base] ...\n"), 2;
  for (int i = 2; i + 1 < argc; i += 2) options[argv[i]] = argv[i + 1];
  const auto batches = read_batches(argv[1]);
  const auto config = config_of(options["--preset"], std::atoll(options["--vocabulary"].c_str()),
                                static_cast<float>(std::atof(options["--inner-dropout"].c_str())));
  models::Transformer model(config);
  model.parameters().allocate_gradients();
  const kernels::ExecutionOwner owner(std::atoi(options["--threads"].c_str()));
  training::TrainingOptions training;
  training.schedule = training::ScheduleKind::constant;
  training.rate = 1e-4;
  training.warmup = 0;
  training::Optimiser optimiser(training, model.parameters());
  ops::Tape tape;

  const int updates = std::atoi(options["--updates"].c_str()), warm = std::atoi(options["--warm"].c_str());
  double tokens = 0, seconds = 0, flops = 0, first_loss = 0, first_norm = 0, last_loss = 0;
  std::vector<double> rates;
  for (int update = 1; update <= updates + warm; ++update) {
    const int turn = update > warm ? update - warm - 1 : update - 1;
    const data::Batch& batch = batches[static_cast<std::size_t>(turn) % batches.size()];
    const auto began = Clock::now();
    ops::Context ctx{.exec = owner.get(), .tape = &tape, .training = true, .seed = 1};
    ctx.update = static_cast<std::uint32_t>(update);
    model.parameters().zero_gradients();
    const auto sums = model.loss(
        ctx, {batch.source, batch.source_start, batch.target_in, batch.target_out, batch.target_start}, 0.1f,
        1.0f / static_cast<float>(batch.target_out.size()));
    tape.backward();
    const double norm = optimiser.gradient_norm(ctx.exec);
    optimiser.step(ctx.exec, update, norm);
    const double took = std::chrono::duration<double>(Clock::now() - began).count();
    last_loss = sums.loss / double(sums.tokens);
    if (update == 1) first_loss = last_loss, first_norm = norm;
    if (update <= warm) continue;
    rates.push_back(double(sums.tokens) / took);
    tokens += double(sums.tokens);
    seconds += took;
    flops += flops_of(config, batch);
  }
  std::ranges::sort(rates);
  std::printf(
      "{\"parameters\": %lld, \"tokens_per_second\": %.0f, \"median\": %.0f, \"gflops\": %.1f, "
      "\"first_loss\": %.3f, \"first_norm\": %.3f, \"last_loss\": %.3f}\n",
      static_cast<long long>(model.parameters().count()), tokens / seconds, rates[rates.size() / 2],
      flops / seconds * 1e-9, first_loss, first_norm, last_loss);
  return 0;
}

}  // namespace
}  // namespace fovea

int main(int argc, char** argv) { return fovea::run(argc, argv); }
