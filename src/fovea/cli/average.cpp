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
#include "fovea/formats/adapter.h"
#include "fovea/formats/json_writer.h"
#include "fovea/models/any_model.h"
#include "fovea/models/weights_on_disk.h"

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

std::string architecture_of(const Path& folder) {
  formats::Weights::open(folder);  // says best what a folder is that is no model's
  const Path described = described_in(folder);
  if (formats::is_adapter(described))
    throw Error(Error::Kind::usage, shown(folder), "is an adapter, which is no model by itself",
                "average what fovea export --merge makes of it");
  return models::config_json(models::without_dropout(models::read_any_config(described)));
}

void expect_alike(const std::vector<std::string>& folders) {
  const std::string architecture = architecture_of(folders.front());
  for (const auto& folder : folders)
    if (architecture_of(folder) != architecture)
      throw Error(Error::Kind::model, shown(folder),
                  "is of another architecture than " + shown(folders.front()),
                  "compare them with fovea inspect");
}

/// Sums of tensors of one size, in double; of tensors that are not there for all, zeros are counted.
class Mean {
 public:
  void add(const Tensor& tensor) {
    if (!tensor.defined()) return;
    sum_.resize(static_cast<std::size_t>(tensor.elements()));
    for (std::size_t i = 0; i < sum_.size(); ++i) sum_[i] += tensor.f32()[i];
  }
  bool is_empty() const { return sum_.empty(); }
  void write(int count, const Tensor& to) const {
    std::ranges::transform(sum_, to.f32(), [&](double sum) { return static_cast<float>(sum / count); });
  }
  Tensor tensor(int count) const {
    const Tensor mean = Tensor::empty({std::ssize(sum_)});
    write(count, mean);
    return mean;
  }

 private:
  std::vector<double> sum_;
};

/// The mean of all weights, in the last of the models.
std::unique_ptr<models::Model> mean_of(const std::vector<std::string>& folders) {
  expect_alike(folders);
  std::unique_ptr<models::Model> model;
  Mean weights, bias;
  for (const auto& folder : folders) {
    model.reset();  // one at a time
    model = models::load_any_model(described_in(folder), folder);
    weights.add(model->parameters().values());
    bias.add(model->output_bias());
  }
  const int count = static_cast<int>(folders.size());
  weights.write(count, model->parameters().values());
  if (!bias.is_empty()) model->set_output_bias(bias.tensor(count));
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
  const bool narrow = models::stored_as(formats::Weights::open(options.models.front())) == DType::bf16;
  copy_papers(described, folder.path());
  write_atomically(folder.path() / "training.json", story(options.models));
  model->weights_file(narrow ? DType::bf16 : DType::f32).save(folder.path() / "model.safetensors");
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
