#include "fovea/models/any_model.h"
#include "fovea/formats/adapter.h"

namespace fovea::models {
namespace {

std::unique_ptr<Model> load_text_classifier(const std::filesystem::path& directory,
                                            const ClassifierConfig& config) {
  if (std::holds_alternative<BertConfig>(config)) return load_bert(directory);
  auto model = make_classifier(config);
  model->read_weights(formats::Weights::open(directory));
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

std::unique_ptr<Model> load_any_model(const std::filesystem::path& directory) {
  formats::Weights::open(directory);  // first: it says best what a folder is that is no model's
  const AnyConfig config = read_any_config(directory);
  if (std::holds_alternative<LanguageConfig>(config)) return load_language_model(directory);
  if (const auto* classifier = std::get_if<ClassifierConfig>(&config))
    return load_text_classifier(directory, *classifier);
  return load_translation_model(directory);
}

}  // namespace fovea::models
