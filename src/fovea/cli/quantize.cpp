// fovea quantize: the same model with narrower weights.
#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "fovea/base/decimal.h"
#include "fovea/base/error.h"
#include "fovea/cli/command.h"
#include "fovea/cli/common.h"
#include "fovea/cli/model_folder.h"
#include "fovea/cli/new_folder.h"
#include "fovea/models/any_model.h"
#include "fovea/models/weights_on_disk.h"

namespace fovea::cli {
namespace {

struct Options {
  std::string model, to, output;
};

std::string megabytes(std::uint64_t bytes) { return fixed(static_cast<double>(bytes) / 1e6, 1) + " MB"; }

void quantize(const Options& options) {
  const std::filesystem::path from = model_folder(options.model);
  const DType dtype = dtype_named(options.to);
  refuse_checkpoint(from);
  if (models::stored_as(formats::Weights::open(from)) == DType::i8)
    throw Error(Error::Kind::usage, shown(from), "holds 8-bit integers already",
                "quantise the model that it was made of");
  const auto model = models::load_any_model(from);
  if (const auto names = models::non_finite_tensors(*model); !names.empty())
    throw Error(Error::Kind::model, shown(from), "NaN or infinite weights in " + names.front(),
                "such a model cannot be quantised");
  NewFolder folder(options.output);
  copy_papers_of(*model, from, dtype, folder.path());
  const auto weights = model->weights_file(dtype);
  weights.save(folder.path() / "model.safetensors");
  folder.commit();
  print(shown(options.output) + " holds the weights as " + options.to + ", " + megabytes(weights.bytes()) +
        "\n");
}

}  // namespace

void add_quantize(CLI::App& fovea) {
  CLI::App* command =
      fovea.add_subcommand("quantize", "Store a model's weights as 8-bit integers or bfloat16");
  const auto options = std::make_shared<Options>();
  add_model_option(*command, options->model);
  command->add_option("--to", options->to, "Type of the weights")
      ->required()
      ->check(CLI::IsMember({"int8", "bf16"}))
      ->type_name("TYPE");
  command->add_option("--output", options->output, "Folder to be made; it must not exist yet")
      ->required()
      ->type_name("DIR");
  command->footer(
      "int8: a scale for each row of what multiplies and of the embeddings; all else stays f32. Translating "
      "takes the\n"
      "type that is stored, or --dtype. Hugging Face Transformers opens bf16; int8 with its scales is "
      "fovea's own.\n"
      "Example: fovea quantize --to int8 --output tatoeba-en-de-int8");
  command->callback([options] { quantize(*options); });
}

}  // namespace fovea::cli
