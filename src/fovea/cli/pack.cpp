// fovea pack: weights as the kernels read them, beside the model's own, to be mapped.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>

#include "fovea/base/decimal.h"
#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/cli/command.h"
#include "fovea/cli/common.h"
#include "fovea/cli/model_folder.h"
#include "fovea/models/any_model.h"
#include "fovea/models/packed_weights.h"

namespace fovea::cli {
namespace {

struct Options {
  std::string model;
  DTypeFlag dtype;
};

void pack(const Options& options) {
  const std::filesystem::path folder = model_folder(options.model);
  refuse_checkpoint(folder);
  const kernels::ExecutionOwner owner;
  const auto weights = formats::Weights::open(folder);
  const auto load = [&] {
    return models::load_any_model_for_inference(folder, owner.get(), options.dtype.wanted());
  };
  std::unique_ptr<models::Model> model;
  try {
    model = load();
  } catch (const Error&) {  // damaged packed weights are in the way; or it is the model, which then says so
    models::remove_packed(weights);
    model = load();
  }
  const auto path = models::save_packed(weights, owner.get(), *model);
  const auto bytes = static_cast<double>(std::filesystem::file_size(path));
  print(shown(path) + " holds the weights as the processor reads them, " + fixed(bytes / 1e6, 1) + " MB\n");
}

}  // namespace

void add_pack(CLI::App& fovea) {
  CLI::App* command =
      fovea.add_subcommand("pack", "Lay a model's weights out to start at once and be shared");
  const auto options = std::make_shared<Options>();
  add_model_option(*command, options->model);
  options->dtype.add_to(*command);
  command->footer(
      "Writes packed-TYPE.safetensors into the model's folder. Every command that runs the model in that\n"
      "type maps it from then on: nothing is copied, and processes share one copy. bf16 and int8 serve\n"
      "every processor, f32 the kind that packed it. Where the model's own weights have changed since,\n"
      "they are read instead: pack again.\n"
      "Example: fovea pack --model tatoeba-en-de-int8");
  command->callback([options] { pack(*options); });
}

}  // namespace fovea::cli
