#include "fovea/models/any_model.h"
#include "fovea/formats/adapter.h"
#include "fovea/models/weights_on_disk.h"

namespace fovea::models {
namespace {

std::unique_ptr<Model> load_text_classifier(const std::filesystem::path& described,
                                            const std::filesystem::path& weighed,
                                            const ClassifierConfig& config) {
  if (std::holds_alternative<BertConfig>(config)) return load_bert(described, weighed);
  const auto weights = formats::Weights::open(weighed);
  expect_size(weights, parameter_count(config));
  auto model = make_classifier(config);
  model->read_weights(weights);
  return model;
}

}  // namespace

AnyConfig read_any_config(const formats::Json& config) {
  const auto type = config.at("model_type").text();
  if (is_language_model(type)) return read_language_config(config);
  if (is_classifier_family(type)) return read_classifier_config(config);
  return read_translation_config(config);
}

AnyConfig read_any_config(const std::filesystem::path& directory) {
  return read_any_config(formats::read_config_of(directory));
}

AnyConfig without_dropout(AnyConfig config) {
  std::visit([](auto& kind) { std::visit([](auto& family) { clear_dropout(family); }, kind); }, config);
  return config;
}

std::string config_json(const AnyConfig& config) {
  if (const auto* translation = std::get_if<TranslationConfig>(&config))
    return config_json(*translation, {}, DType::f32);
  if (const auto* language = std::get_if<LanguageConfig>(&config)) return config_json(*language, DType::f32);
  return config_json(std::get<ClassifierConfig>(config), DType::f32);
}

std::unique_ptr<Model> load_any_model(const std::filesystem::path& directory) {
  return load_any_model(directory, directory);
}

std::unique_ptr<Model> load_any_model(const std::filesystem::path& described,
                                      const std::filesystem::path& weighed) {
  formats::Weights::open(weighed);  // first: it says best what a folder is that is no model's
  const AnyConfig config = read_any_config(described);
  if (std::holds_alternative<LanguageConfig>(config)) return load_language_model(described, weighed);
  if (const auto* classifier = std::get_if<ClassifierConfig>(&config))
    return load_text_classifier(described, weighed, *classifier);
  return load_translation_model(described, weighed);
}

std::unique_ptr<Model> load_any_model_for_inference(const std::filesystem::path& directory,
                                                    const kernels::Execution& exec,
                                                    std::optional<DType> dtype) {
  formats::Weights::open(directory);  // first: it says best what a folder is that is no model's
  const AnyConfig config = read_any_config(directory);
  if (std::holds_alternative<LanguageConfig>(config))
    return load_language_model_for_inference(directory, exec, dtype);
  const auto* classifier = std::get_if<ClassifierConfig>(&config);
  if (!classifier) return load_for_inference(directory, exec, dtype);
  if (std::holds_alternative<BertConfig>(*classifier)) return load_bert(directory, exec, {}, dtype);
  return load_classifier(directory, exec, dtype);
}

}  // namespace fovea::models
