// fovea export: a model as a directory of its own, an adapter merged into its base.
#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "fovea/base/decimal.h"
#include "fovea/base/error.h"
#include "fovea/cli/command.h"
#include "fovea/cli/common.h"
#include "fovea/cli/model_folder.h"
#include "fovea/cli/new_folder.h"
#include "fovea/formats/adapter.h"
#include "fovea/models/any_model.h"
#include "fovea/models/weights_on_disk.h"

namespace fovea::cli {
namespace {

using Path = std::filesystem::path;

struct Options {
  std::string model, output;
  bool merge = false;
};

void expect_exportable(const Path& from, bool adapter, bool merge) {
  refuse_checkpoint(from);
  formats::Weights::open(from);  // says best what a folder is that is no model's
  if (adapter && !merge)
    throw Error(Error::Kind::usage, shown(from), "is an adapter, and not a model of its own",
                "use --merge to make it one with its base");
  if (merge && !adapter)
    throw Error(Error::Kind::usage, "--merge", shown(from) + " is no adapter: there is nothing to merge",
                "name the folder with adapter_config.json, or leave --merge out");
}

void export_model(const Options& options) {
  const Path from = model_folder(options.model);
  const bool adapter = formats::is_adapter(from);
  expect_exportable(from, adapter, options.merge);
  const auto model = models::load_any_model(from);
  const DType held = models::stored_as(formats::Weights::open(from));
  const DType stored = held == DType::bf16 ? held : DType::f32;
  if (held == DType::i8)
    throw Error(Error::Kind::usage, shown(from), "holds 8-bit integers, which are fovea's own",
                "export the model that it was made of");
  NewFolder folder(options.output);
  copy_papers_of(*model, from, stored, folder.path());
  const auto weights = model->weights_file(stored);
  weights.save(folder.path() / "model.safetensors");
  folder.commit();
  print(shown(options.output) + " holds " + (adapter ? "the adapter merged into its base, " : "the model, ") +
        fixed(static_cast<double>(weights.bytes()) / 1e6, 1) + " MB\n");
}

}  // namespace

void add_export(CLI::App& fovea) {
  CLI::App* command =
      fovea.add_subcommand("export", "Make a plain model directory of a run, or of an adapter with its base");
  const auto options = std::make_shared<Options>();
  add_model_option(*command, options->model);
  command->add_flag(
      "--merge", options->merge,
      "The model is a LoRA adapter, trained here or by PEFT: add it to the weights of its base");
  command->add_option("--output", options->output, "Folder to be made; it must not exist yet")
      ->required()
      ->type_name("DIR");
  command->footer(
      "Writes config.json, tokenizer and model.safetensors in the layout of Hugging Face, without what\n"
      "training left beside them; the weights stay f32 or bf16, as they (or those of the base) are.\n"
      "Example: fovea export --model runs/shakespeare-lora --merge --output shakespeare");
  command->callback([options] { export_model(*options); });
}

}  // namespace fovea::cli
