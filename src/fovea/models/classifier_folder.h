#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "fovea/formats/json.h"
#include "fovea/models/bert.h"
#include "fovea/models/recurrent_classifier.h"

/// Classifiers of texts of every family, as directories on disk.
namespace fovea::models {

/// What a classifier is made of: the families there are.
using ClassifierConfig = std::variant<BertConfig, RecurrentClassifierConfig>;

/// Whether `model_type` of a config.json names a family that has classifiers.
bool is_classifier_family(std::string_view model_type);

/// Parameters are allocated and set to their beginning by `seed`. Throws Error(bug) if the config is not
/// valid.
std::unique_ptr<TextClassifier> make_classifier(const ClassifierConfig& config, std::uint64_t seed = 1);

/// The same with nothing allocated; read_weights() follows.
std::unique_ptr<TextClassifier> declare_classifier(const ClassifierConfig& config);

double parameter_count(const ClassifierConfig& config);
/// config.json of a model whose weights are stored as `weights`.
std::string config_json(const ClassifierConfig& config, DType weights);
/// What a config.json describes, by its model_type. Throws Error(model) naming file and key.
ClassifierConfig read_classifier_config(const formats::Json& config);

/// The classifier in a directory: config.json and the weights, in one file or in shards, packed for exec's
/// kernels tensor by tensor as `weights`; if that is not given, as i8 if they are stored so, else as f32.
/// Throws Error(model): no classifier of texts, or a damaged one.
std::unique_ptr<TextClassifier> load_classifier(const std::filesystem::path& directory,
                                                const kernels::Execution& exec,
                                                std::optional<DType> weights = {});

/// A BERT of any head, likewise; `head` in place of the one that its config.json says.
std::unique_ptr<Bert> load_bert(const std::filesystem::path& directory, const kernels::Execution& exec,
                                std::optional<BertConfig::Head> head = {}, std::optional<DType> weights = {});
/// The same to be written or trained again: as f32, nothing packed.
std::unique_ptr<Bert> load_bert(const std::filesystem::path& directory);
/// The same with the weights of another directory.
std::unique_ptr<Bert> load_bert(const std::filesystem::path& described, const std::filesystem::path& weighed);

}  // namespace fovea::models
