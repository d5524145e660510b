#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fovea/cli/model_folder.h"
#include "fovea/decoding/ensemble.h"

namespace fovea::cli {

/// One model, or several that decide together, as the command line says it.
struct EnsembleFlags {
  std::vector<std::string> models;  ///< folders; empty: the bundled model
  std::string mean_name = "log";
  DTypeFlag dtype;

  /// --model, --ensemble-mean and --dtype, written to this object, which must outlive the parsing.
  void add_to(CLI::App& command);
  decoding::EnsembleMean mean() const;
};

/// Models that decide together, and the one tokenizer they have.
struct LoadedModels {
  /// Reads all. Throws Error(model) as load_model does, and if their tokenizers are not of the same pieces.
  LoadedModels(const EnsembleFlags& flags, const kernels::Execution& exec);

  const models::TranslationModel& first() const { return *models.front(); }

  std::string folder;  ///< of the first
  std::vector<std::unique_ptr<models::TranslationModel>> models;
  text::TranslationTokenizer tokenizer;

 private:
  LoadedModels(std::vector<std::string> folders, const EnsembleFlags& flags, const kernels::Execution& exec);
  LoadedModels(std::string folder, LoadedModel loaded);
};

}  // namespace fovea::cli
