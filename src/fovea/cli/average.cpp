// fovea average: one model of several, the mean of their weights.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/cli/command.h"
#include "fovea/cli/common.h"
#include "fovea/cli/new_folder.h"
#include "fovea/formats/json.h"
#include "fovea/formats/json_writer.h"
#include "fovea/models/translation_folder.h"

namespace fovea::cli {
namespace {

using Path = std::filesystem::path;

struct Options {
  std::string output;
  std::vector<std::string> models;
};

bool is_there(const Path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

/// Where the configuration of a model is: in its folder, or, for RUN/checkpoints/checkpoint-N, in the run's.
Path described_in(const Path& folder) {
  if (is_there(folder / "config.json") || !is_there(folder / "training_state.json")) return folder;
  const Path whole = std::filesystem::absolute(folder).lexically_normal();
  const Path run = (whole.has_filename() ? whole : whole.parent_path()).parent_path().parent_path();
  return is_there(run / "config.json") ? run : folder;
}

models::TranslationConfig config_of(const Path& folder) {
  return models::read_translation_config(
      formats::read_json(described_in(folder) / "config.json", Error::Kind::model));
}

/// The architecture as text, without what differs between trainings of one model: its dropout.
std::string architecture(models::TranslationConfig config) {
  std::visit([](auto& family) { models::clear_dropout(family); }, config);
  return models::config_json(config, {}, DType::f32);
}

/// The mean of all weights, summed in double, in the model of the first.
std::unique_ptr<models::TranslationModel> mean_of(const std::vector<std::string>& folders) {
  const auto config = config_of(folders.front());
  for (const auto& folder : folders)
    if (architecture(config_of(folder)) != architecture(config))
      throw Error(Error::Kind::model, shown(folder),
                  "is of another architecture than " + shown(folders.front()),
                  "compare them with fovea inspect");
  std::unique_ptr<models::TranslationModel> model;
  std::vector<double> sum, bias_sum(static_cast<std::size_t>(models::vocabulary_of(config).target));
  for (const auto& folder : folders) {
    model = models::load_translation_model(described_in(folder), folder);
    const auto values = model->parameters().values().values();
    sum.resize(values.size());
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += values[i];
    if (!model->output_bias().defined()) continue;
    const auto bias = model->output_bias().values();
    for (std::size_t i = 0; i < bias.size(); ++i) bias_sum[i] += bias[i];
  }
  const auto mean = [count = static_cast<double>(folders.size())](double value) {
    return static_cast<float>(value / count);
  };
  std::ranges::transform(sum, model->parameters().values().f32(), mean);
  const Tensor bias = Tensor::empty({models::vocabulary_of(config).target});
  std::ranges::transform(bias_sum, bias.f32(), mean);
  model->set_output_bias(bias);
  return model;
}

/// What `fovea inspect` then says about its training.
std::string story(const std::vector<std::string>& folders) {
  formats::JsonWriter json;
  json.begin_object().field("weights", "average of " + counted(folders.size(), "model"));
  json.key("average_of").begin_array();
  for (const auto& folder : folders) json.value(folder);
  return json.end_array().end_object().finish();
}

void average(const Options& options) {
  const Path described = described_in(options.models.front());
  NewFolder folder(options.output);
  const auto model = mean_of(options.models);
  const auto config = formats::read_json(described / "config.json", Error::Kind::model);
  const DType stored = config.text_or("torch_dtype", "float32") == "bfloat16" ? DType::bf16 : DType::f32;
  copy_papers(described, folder.path());
  write_atomically(folder.path() / "training.json", story(options.models));
  model->weights_file(stored).save(folder.path() / "model.safetensors");
  folder.commit();
  print(shown(options.output) + " holds the average of " + counted(options.models.size(), "model") + "\n");
}

}  // namespace

void add_average(CLI::App& fovea) {
  CLI::App* command = fovea.add_subcommand("average", "Make one model of several: the mean of their weights");
  const auto options = std::make_shared<Options>();
  command->add_option("output", options->output, "Folder to be made; it must not exist yet")
      ->required()
      ->type_name("OUTPUT");
  command->add_option("models", options->models, "Model directories or checkpoints, all of one architecture")
      ->required()
      ->type_name("DIR");
  command->footer(
      "All but the weights is copied from the first, or from the run that it is a checkpoint of.\n"
      "Example: fovea average averaged runs/tatoeba-en-de/checkpoints/checkpoint-*");
  command->callback([options] { average(*options); });
}

}  // namespace fovea::cli
