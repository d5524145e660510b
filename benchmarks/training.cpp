// Speed of training a model for translation on batches from a file, for peers/train_translation.py and
// peers/train_recurrent.py.
//   training BATCHES [--preset tiny|small|base] [--vocabulary V] [--inner-dropout P]
//   training BATCHES --recipe FILE --tokenizer FILE.model [--set SECTION.KEY=VALUE ...]
//     and [--threads N] [--updates N] [--warm N] [--weights FILE] [--precision f32|bf16]
// BATCHES: a pair a line, "source ids TAB target ids" separated by spaces, without end of sentence; an empty
// line ends a batch. Timed update i takes batch i, after `warm` updates that are not timed. The model is a
// preset of the Transformer, with dropout 0.1 on embeddings and sublayers and P on attention weights and
// activations; or that of a recipe, of any family. --weights keeps what it begins with as safetensors. Prints
// target tokens a second of the median update, and the losses (nats a token, smoothing included) and gradient
// norm that the other side should have too.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/data/batcher.h"
#include "fovea/models/translation_folder.h"
#include "fovea/training/model_config.h"
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

models::TransformerConfig preset_config(const std::string& preset, std::int64_t vocabulary,
                                        float inner_dropout) {
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

struct Options {
  std::string batches;
  std::map<std::string, std::string> named{
      {"--preset", "tiny"}, {"--vocabulary", "10000"},  {"--threads", "2"}, {"--updates", "20"},
      {"--warm", "3"},      {"--inner-dropout", "0.1"}, {"--recipe", ""},   {"--tokenizer", ""},
      {"--weights", ""},    {"--precision", "f32"}};
  std::vector<std::string> changes;  // --set

  const std::string& text(const char* name) const { return named.at(name); }
  int number(const char* name) const { return std::atoi(text(name).c_str()); }
};

[[noreturn]] void usage() {
  std::fprintf(stderr,
               "training BATCHES [--preset tiny|small|base | --recipe FILE --tokenizer FILE.model] ...\n");
  std::exit(2);
}

Options read_options(int argc, char** argv) {
  if (argc % 2 != 0) usage();
  Options options;
  options.batches = argv[1];
  for (int i = 2; i < argc; i += 2) {
    if (std::string(argv[i]) == "--set")
      options.changes.emplace_back(argv[i + 1]);
    else if (options.named.contains(argv[i]))
      options.named[argv[i]] = argv[i + 1];
    else
      usage();
  }
  return options;
}

models::TranslationConfig config_of(const Options& options) {
  if (options.text("--recipe").empty())
    return preset_config(options.text("--preset"), options.number("--vocabulary"),
                         static_cast<float>(std::atof(options.text("--inner-dropout").c_str())));
  const auto recipe = training::read_recipe(options.text("--recipe"), options.changes);
  const auto& tokenizer = options.text("--tokenizer");
  const auto pieces = text::SentencePieceModel::parse(
      read_file(tokenizer, std::uint64_t{1} << 30, Error::Kind::usage), tokenizer);
  return training::model_config(recipe, text::TranslationTokenizer(pieces, {}));
}

// Multiply-adds of the matrix products of one update, forward and backward, times two.
double flops_of(const models::TransformerConfig& c, const data::Batch& batch) {
  const double D = double(c.width), F = double(c.feed_forward), S = double(batch.source.size()),
               T = double(batch.target_in.size());
  const double encoder = S * double(c.encoder_layers) * (4 * D * D + 2 * D * F);
  const double decoder = double(c.decoder_layers) * (T * (6 * D * D + 2 * D * F) + S * 2 * D * D);
  return 6.0 * (encoder + decoder + T * D * double(c.target_vocabulary));
}

// The same, of the cells, the attention's projections, the readout and the output layer.
double flops_of(const models::RecurrentConfig& c, const data::Batch& batch) {
  const double H = double(c.width), E = double(c.embedding), M = double(c.memory_width()),
               A = double(c.attention_width), G = double(kernels::gates_of(c.cell)) * H,
               S = double(batch.source.size()), T = double(batch.target_in.size());
  const double upper = double(c.decoder_layers - 1) * G * 2 * H;
  const double context = c.order == models::RecurrentConfig::Order::luong ? 0.0 : G * M;
  const double second = c.order == models::RecurrentConfig::Order::conditional ? G * H : 0.0;
  const double encoder = M / H * G * (E + H + double(c.encoder_layers - 1) * (M + H));
  const double attention = c.attends() ? T * H * A + S * M * A : 0.0;
  const double decoder = G * (E + H) + upper + context + second + E * (H + M + E);
  return 6.0 * (S * encoder + attention + T * (decoder + E * double(c.target_vocabulary)));
}

int run(int argc, char** argv) {
  const Options options = read_options(argc, argv);
  const auto batches = read_batches(options.batches.c_str());
  const auto config = config_of(options);
  const auto model = models::make_translation_model(config);
  if (const auto& path = options.text("--weights"); !path.empty()) model->weights_file(DType::f32).save(path);
  model->parameters().allocate_gradients();
  const kernels::ExecutionOwner owner(options.number("--threads"));
  kernels::Execution exec = owner.get();
  if (options.text("--precision") == "bf16") exec.precision = kernels::Precision::bf16;
  training::TrainingOptions training;
  training.schedule = training::ScheduleKind::constant;
  training.rate = 1e-4;
  training.warmup = 0;
  training::Optimiser optimiser(training, model->parameters());
  ops::Tape tape;

  const int updates = options.number("--updates"), warm = options.number("--warm");
  double tokens = 0, seconds = 0, flops = 0, first_loss = 0, first_norm = 0, last_loss = 0;
  std::vector<double> rates;
  for (int update = 1; update <= updates + warm; ++update) {
    const int turn = update > warm ? update - warm - 1 : update - 1;
    const data::Batch& batch = batches[static_cast<std::size_t>(turn) % batches.size()];
    const auto began = Clock::now();
    ops::Context ctx{.exec = exec, .tape = &tape, .training = true, .seed = 1};
    ctx.update = static_cast<std::uint32_t>(update);
    model->parameters().zero_gradients();
    const auto sums = model->loss(
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
    flops += std::visit([&](const auto& each) { return flops_of(each, batch); }, config);
  }
  std::ranges::sort(rates);
  std::printf(
      "{\"parameters\": %lld, \"tokens_per_second\": %.0f, \"median\": %.0f, \"gflops\": %.1f, "
      "\"first_loss\": %.6f, \"first_norm\": %.6f, \"last_loss\": %.6f}\n",
      static_cast<long long>(model->parameters().count()), tokens / seconds, rates[rates.size() / 2],
      flops / seconds * 1e-9, first_loss, first_norm, last_loss);
  return 0;
}

}  // namespace
}  // namespace fovea

int main(int argc, char** argv) {
  try {
    return fovea::run(argc, argv);
  } catch (const fovea::Error& error) {
    std::fprintf(stderr, "training: %s\n", error.what());
    return error.exit_code();
  }
}
