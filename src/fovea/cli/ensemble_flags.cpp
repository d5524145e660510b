#include "fovea/cli/ensemble_flags.h"

#include <CLI/CLI.hpp>
#include <utility>

#include "fovea/base/error.h"

namespace fovea::cli {
namespace {

std::vector<std::string> folders_of(const EnsembleFlags& flags) {
  if (flags.models.empty()) return {model_folder("")};
  std::vector<std::string> folders;
  for (const std::string& name : flags.models) folders.push_back(model_folder(name));
  return folders;
}

bool same_pieces(const text::TranslationTokenizer& a, const text::TranslationTokenizer& b) {
  const auto pieces = [](const text::TranslationTokenizer& tokenizer) {
    auto files = tokenizer.files();
    files.erase("tokenizer_config.json");
    return files;
  };
  return pieces(a) == pieces(b);
}

}  // namespace

void EnsembleFlags::add_to(CLI::App& command) {
  command
      .add_option("--model", models,
                  "Model directory (default: the bundled English-German model); several decide together")
      ->allow_extra_args(false)
      ->type_name("DIR");
  command
      .add_option("--ensemble-mean", mean_name,
                  "What several models are averaged by: log (of probabilities) or probability")
      ->check(CLI::IsMember({"log", "probability"}))
      ->type_name("")
      ->capture_default_str();
  dtype.add_to(command);
}

decoding::EnsembleMean EnsembleFlags::mean() const {
  return mean_name == "probability" ? decoding::EnsembleMean::probabilities
                                    : decoding::EnsembleMean::log_probabilities;
}

LoadedModels::LoadedModels(const EnsembleFlags& flags, const kernels::Execution& exec)
    : LoadedModels(folders_of(flags), flags, exec) {}

LoadedModels::LoadedModels(std::vector<std::string> folders, const EnsembleFlags& flags,
                           const kernels::Execution& exec)
    : LoadedModels(folders.front(), load_model(folders.front(), exec, flags.dtype)) {
  for (std::size_t i = 1; i < folders.size(); ++i) {
    auto loaded = load_model(folders[i], exec, flags.dtype);
    if (!same_pieces(loaded.tokenizer, tokenizer))
      throw Error(Error::Kind::model, folders[i], "its tokenizer is another than that of " + folder,
                  "models decide together only if they were trained with one tokenizer");
    models.push_back(std::move(loaded.model));
  }
}

LoadedModels::LoadedModels(std::string folder, LoadedModel loaded)
    : folder(std::move(folder)), tokenizer(std::move(loaded.tokenizer)) {
  models.push_back(std::move(loaded.model));
}

}  // namespace fovea::cli
