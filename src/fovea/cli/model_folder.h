#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fovea/kernels/execution.h"
#include "fovea/models/language_model.h"
#include "fovea/models/translation_model.h"
#include "fovea/text/tokenizer.h"
#include "fovea/text/translation_tokenizer.h"

namespace CLI {
class App;
}

namespace fovea::cli {

/// `name` if it is not empty, else the folder of the bundled model: $FOVEA_MODEL, or models/ beside the
/// program's source tree or installation. Throws Error(model) if there is none.
std::string model_folder(const std::string& name);

/// --model DIR, written to `folder`; it stays empty, the bundled model, when it is not given.
void add_model_option(CLI::App& command, std::string& folder);

/// A model and its tokenizer.
struct LoadedModel {
  std::unique_ptr<models::TranslationModel> model;
  text::TranslationTokenizer tokenizer;
};

/// f32, bf16 or int8.
DType dtype_named(const std::string& name);

/// In which type a model computes, as the command line says it.
struct DTypeFlag {
  std::string name = {};  ///< empty: not given
  /// --dtype, written to this object, which must outlive the parsing.
  void add_to(CLI::App& command);
  /// The type of that name, if one is given.
  std::optional<DType> wanted() const;
};

/// Reads both, the model to answer by exec's kernels (models::load_for_inference), and prints a warning for
/// each of doubts(). Throws Error(model): not a model directory, or a damaged one.
LoadedModel load_model(const std::string& folder, const kernels::Execution& exec,
                       const DTypeFlag& dtype = {});

/// A checkpoint of a run has weights but neither configuration nor tokenizer: throws Error(model) saying so.
void refuse_checkpoint(const std::filesystem::path& folder);

/// What makes a model of any kind doubtful that can be used all the same: keys of config.json that ask for
/// code from elsewhere (it is never run); and with them, weights that are not finite.
std::vector<std::string> doubts_of_config(const std::string& folder);
std::vector<std::string> doubts_of_weights(const std::string& folder, const models::Model& model);

/// Copies configuration, tokenizer and papers of `model`, which is in `from`, for weights stored as `stored`:
/// of an adapter those of its base, and over them its own, as of a plain model.
void copy_papers_of(const models::Model& model, const std::filesystem::path& from, DType stored,
                    const std::filesystem::path& to);

/// A language model and its tokenizer.
struct LoadedLanguageModel {
  std::unique_ptr<models::LanguageModel> model;
  std::shared_ptr<const text::Tokenizer> tokenizer;
};
/// As load_model() (models::load_language_model_for_inference).
LoadedLanguageModel load_language_model(const std::string& folder, const kernels::Execution& exec,
                                        const DTypeFlag& dtype = {});

/// The same of a translation model and its tokenizer, which may seem to be of another model or fail its own
/// samples, a line each; and together with the above.
std::vector<std::string> doubts_of_tokenizer(const std::string& folder, const models::TranslationModel& model,
                                             const text::TranslationTokenizer& tokenizer);
std::vector<std::string> doubts(const std::string& folder, const models::TranslationModel& model,
                                const text::TranslationTokenizer& tokenizer);

}  // namespace fovea::cli
