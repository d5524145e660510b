#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "fovea/formats/json.h"
#include "fovea/models/generation_defaults.h"
#include "fovea/models/recurrent.h"
#include "fovea/models/transformer.h"

/// Translation models of every family, as directories on disk.
namespace fovea::models {

/// What a translation model is made of: the families there are.
using TranslationConfig = std::variant<TransformerConfig, RecurrentConfig>;

TranslationVocabulary vocabulary_of(const TranslationConfig& config);
std::int64_t max_positions_of(const TranslationConfig& config);

/// Parameters are allocated and set to their beginning by `seed`. Throws Error(bug) if the config is not
/// valid.
std::unique_ptr<TranslationModel> make_translation_model(const TranslationConfig& config,
                                                         std::uint64_t seed = 1);

/// The same with nothing allocated; read_weights() follows.
std::unique_ptr<TranslationModel> declare_translation_model(const TranslationConfig& config);

/// How many numbers such a model learns, without building it; a double, as a hostile config may ask for any
/// number.
double parameter_count(const TranslationConfig& config);

/// config.json of a model whose weights are stored as `weights`.
std::string config_json(const TranslationConfig& config, const GenerationDefaults& generation, DType weights);

/// generation_config.json
std::string generation_config_json(const TranslationConfig& config, const GenerationDefaults& generation);

/// What a config.json describes, by its model_type. Throws Error(model) naming file and key: not a
/// translation model of these families, a key missing, of a wrong type or out of range, an option that is not
/// built here.
TranslationConfig read_translation_config(const formats::Json& config);

/// The model in a directory: config.json and the weights, in one file or in shards. Nothing is allocated that
/// the weights do not back: sizes in config.json far beyond them are an Error(model).
std::unique_ptr<TranslationModel> load_translation_model(const std::filesystem::path& directory);
/// The same for a model that only answers, its weights packed for exec's kernels tensor by tensor: as
/// `weights`, or if that is not given as i8 where they are stored so, else as f32.
std::unique_ptr<TranslationModel> load_for_inference(const std::filesystem::path& directory,
                                                     const kernels::Execution& exec,
                                                     std::optional<DType> weights = {});
/// The same with config.json in one folder and the weights in another, as a checkpoint's are.
std::unique_ptr<TranslationModel> load_translation_model(const std::filesystem::path& described,
                                                         const std::filesystem::path& weighed);

}  // namespace fovea::models
