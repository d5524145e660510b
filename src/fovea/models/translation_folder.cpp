#include "fovea/models/translation_folder.h"

#include "fovea/formats/adapter.h"
#include "fovea/models/transformer_folder.h"
#include "fovea/models/weights_on_disk.h"

namespace fovea::models {
namespace {

std::unique_ptr<TranslationModel> make(const TransformerConfig& config, std::uint64_t seed) {
  return std::make_unique<Transformer>(config, seed);
}

std::unique_ptr<TranslationModel> make(const RecurrentConfig& config, std::uint64_t seed) {
  return std::make_unique<RecurrentModel>(config, seed);
}

std::unique_ptr<TranslationModel> declare(const TransformerConfig& config) {
  return std::make_unique<Transformer>(config, Declared{});
}

std::unique_ptr<TranslationModel> declare(const RecurrentConfig& config) {
  return std::make_unique<RecurrentModel>(config, Declared{});
}

// A model directory's weights and what its config.json describes, which they back.
struct Opened {
  formats::Weights weights;
  TranslationConfig config;
};

Opened open(const std::filesystem::path& described, const std::filesystem::path& weighed) {
  auto weights = formats::Weights::open(weighed);  // first: it says best what a folder is that is no model's
  auto config = read_translation_config(formats::read_config_of(described));
  if (auto* transformer = std::get_if<TransformerConfig>(&config))
    *transformer = agreed(*transformer, weights);
  expect_size(weights, parameter_count(config));
  return {std::move(weights), std::move(config)};
}

}  // namespace

TranslationVocabulary vocabulary_of(const TranslationConfig& config) {
  return std::visit([](const auto& family) { return vocabulary_of(family); }, config);
}

std::int64_t max_positions_of(const TranslationConfig& config) {
  return std::visit([](const auto& family) { return family.max_positions; }, config);
}

std::unique_ptr<TranslationModel> make_translation_model(const TranslationConfig& config,
                                                         std::uint64_t seed) {
  return std::visit([&](const auto& family) { return make(family, seed); }, config);
}

std::unique_ptr<TranslationModel> declare_translation_model(const TranslationConfig& config) {
  return std::visit([](const auto& family) { return declare(family); }, config);
}

double parameter_count(const TranslationConfig& config) {
  return std::visit([](const auto& family) { return parameter_count(family); }, config);
}

std::string config_json(const TranslationConfig& config, const GenerationDefaults& generation,
                        DType weights) {
  return std::visit([&](const auto& family) { return config_json(family, generation, weights); }, config);
}

std::string generation_config_json(const TranslationConfig& config, const GenerationDefaults& generation) {
  return generation_config_json(vocabulary_of(config), max_positions_of(config), generation);
}

TranslationConfig read_translation_config(const formats::Json& config) {
  if (config.at("model_type").text() == "fovea-recurrent") return read_recurrent_config(config);
  return read_config(config);
}

std::unique_ptr<TranslationModel> load_translation_model(const std::filesystem::path& directory) {
  return load_translation_model(directory, directory);
}

std::unique_ptr<TranslationModel> load_translation_model(const std::filesystem::path& described,
                                                         const std::filesystem::path& weighed) {
  const auto [weights, config] = open(described, weighed);
  auto model = make_translation_model(config);
  model->read_weights(weights);
  return model;
}

std::unique_ptr<TranslationModel> load_for_inference(const std::filesystem::path& directory,
                                                     const kernels::Execution& exec,
                                                     std::optional<DType> dtype) {
  const auto [weights, config] = open(directory, directory);
  auto model = declare_translation_model(config);
  const DType stored = stored_as(weights);
  const Packing packing{exec, dtype.value_or(stored == DType::i8 ? stored : DType::f32)};
  model->read_weights(weights, &packing);
  return model;
}

}  // namespace fovea::models
