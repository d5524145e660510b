#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "fovea/formats/json.h"
#include "fovea/models/gpt2.h"
#include "fovea/models/llama.h"

/// Language models of every family, as directories on disk.
namespace fovea::models {

/// What a language model is made of: the families there are.
using LanguageConfig = std::variant<Gpt2Config, LlamaConfig>;

/// Whether `model_type` of a config.json names a family of language models.
bool is_language_model(std::string_view model_type);

/// Parameters are allocated and set to their beginning by `seed`. Throws Error(bug) if the config is not
/// valid.
std::unique_ptr<LanguageModel> make_language_model(const LanguageConfig& config, std::uint64_t seed = 1);

/// The same with nothing allocated; read_weights() follows.
std::unique_ptr<LanguageModel> declare_language_model(const LanguageConfig& config);

double parameter_count(const LanguageConfig& config);
/// config.json of a model whose weights are stored as `weights`.
std::string config_json(const LanguageConfig& config, DType weights);

/// What a config.json describes, by its model_type. Throws Error(model) naming file and key: no language
/// model of these families, a key missing, of a wrong type or out of range, an option that is not built here.
LanguageConfig read_language_config(const formats::Json& config);

/// The model in a directory: config.json and the weights, in one file or in shards. Nothing is allocated that
/// the weights do not back.
std::unique_ptr<LanguageModel> load_language_model(const std::filesystem::path& directory);
/// The same with the weights of another directory.
std::unique_ptr<LanguageModel> load_language_model(const std::filesystem::path& described,
                                                   const std::filesystem::path& weighed);
/// The first for a model that only answers, its weights packed for exec's kernels tensor by tensor: as
/// `weights`, or if that is not given as they are stored (what is neither bf16 nor i8 as f32).
std::unique_ptr<LanguageModel> load_language_model_for_inference(const std::filesystem::path& directory,
                                                                 const kernels::Execution& exec,
                                                                 std::optional<DType> weights = {});

}  // namespace fovea::models
