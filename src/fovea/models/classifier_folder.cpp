#include "fovea/models/classifier_folder.h"

#include "fovea/formats/adapter.h"
#include "fovea/models/weights_on_disk.h"

namespace fovea::models {
namespace {

template <class... Options>
std::unique_ptr<TextClassifier> make(const BertConfig& config, Options... options) {
  return std::make_unique<Bert>(config, options...);
}

template <class... Options>
std::unique_ptr<TextClassifier> make(const RecurrentClassifierConfig& config, Options... options) {
  return std::make_unique<RecurrentClassifier>(config, options...);
}

formats::Json read_config(const std::filesystem::path& directory) {
  return formats::read_config_of(directory);
}

// A model without a head may have a pooler: what the weights say.
void look_for_pooler(const formats::Weights& weights, BertConfig& config) {
  if (config.head != BertConfig::Head::none) return;
  const std::string name = "pooler.dense.weight", prefix(names_of(config.family).prefix);
  config.pooler = weights.has(name) || weights.has(prefix + name);
}

bool has_config(const std::filesystem::path& directory) {
  std::error_code error;
  return std::filesystem::exists(directory / "config.json", error);
}

// An adapter for classification that comes without a config.json has a head of which that of its base knows
// nothing: its classes are counted, and have no names.
BertConfig with_head(BertConfig config, const std::filesystem::path& directory,
                     const formats::Weights& weights) {
  if (!weights.adapter() || weights.adapter()->config().task_type != "SEQ_CLS" || has_config(directory))
    return config;
  config.head = BertConfig::Head::text;
  config.pooler = config.family == BertConfig::Family::bert;
  const std::string name = is_roberta(config.family) ? "classifier.out_proj.weight" : "classifier.weight";
  if (!weights.has(name)) return config;
  constexpr std::int64_t most_classes = 100'000;
  const auto& shape = weights.info(name).shape;
  if (shape.size() != 2 || shape[0] < 1 || shape[0] > most_classes)
    throw Error(Error::Kind::model, weights.name() + ": " + name,
                "is no matrix with a row for each of 1 to " + std::to_string(most_classes) + " classes");
  const std::int64_t rows = shape[0];
  if (rows == config.classes.size()) return config;
  config.classes = {{}, rows == 1 ? Problem::regression : Problem::single_label};
  for (std::int64_t i = 0; i < rows; ++i) config.classes.names.push_back("LABEL_" + std::to_string(i));
  return config;
}

BertConfig bert_config(const std::filesystem::path& directory, const formats::Weights& weights,
                       std::optional<BertConfig::Head> head) {
  BertConfig config = with_head(read_bert_config(read_config(directory)), directory, weights);
  if (head && *head != config.head) {
    config.head = *head;
    config.pooler = false;
  }
  look_for_pooler(weights, config);
  expect_size(weights, parameter_count(config));
  return config;
}

// As which type weights are held where nobody says: 8 bits if they are stored so, else all of them.
DType held_as(const formats::Weights& weights, std::optional<DType> wanted) {
  return wanted.value_or(stored_as(weights) == DType::i8 ? DType::i8 : DType::f32);
}

void expect_classifier(const std::filesystem::path& directory, const ClassifierConfig& config) {
  const auto* bert = std::get_if<BertConfig>(&config);
  if (!bert || bert->head == BertConfig::Head::text) return;
  throw Error(Error::Kind::model, shown(directory / "config.json"), "describes no classifier of texts",
              "its `architectures` should name one ...ForSequenceClassification");
}

}  // namespace

bool is_classifier_family(std::string_view model_type) {
  return is_bert(model_type) || model_type == recurrent_classifier_type;
}

std::unique_ptr<TextClassifier> make_classifier(const ClassifierConfig& config, std::uint64_t seed) {
  return std::visit([&](const auto& family) { return make(family, seed); }, config);
}

std::unique_ptr<TextClassifier> declare_classifier(const ClassifierConfig& config) {
  return std::visit([](const auto& family) { return make(family, Declared{}); }, config);
}

double parameter_count(const ClassifierConfig& config) {
  return std::visit([](const auto& family) { return parameter_count(family); }, config);
}

std::string config_json(const ClassifierConfig& config, DType weights) {
  return std::visit([&](const auto& family) { return config_json(family, weights); }, config);
}

ClassifierConfig read_classifier_config(const formats::Json& config) {
  const auto type = config.at("model_type");
  if (type.text() == recurrent_classifier_type) return read_recurrent_classifier_config(config);
  if (is_bert(type.text())) return read_bert_config(config);
  type.reject(
      "a model of type '" + printable(type.text()) + "'",
      "classifiers are bert, distilbert, roberta, xlm-roberta and " + std::string(recurrent_classifier_type));
}

std::unique_ptr<TextClassifier> load_classifier(const std::filesystem::path& directory,
                                                const kernels::Execution& exec, std::optional<DType> dtype) {
  const auto weights = formats::Weights::open(directory);
  auto config = read_classifier_config(read_config(directory));
  if (auto* bert = std::get_if<BertConfig>(&config)) *bert = with_head(std::move(*bert), directory, weights);
  expect_classifier(directory, config);
  expect_size(weights, parameter_count(config));
  auto model = declare_classifier(config);
  const Packing packing{exec, held_as(weights, dtype)};
  model->read_weights(weights, &packing);
  return model;
}

std::unique_ptr<Bert> load_bert(const std::filesystem::path& directory, const kernels::Execution& exec,
                                std::optional<BertConfig::Head> head, std::optional<DType> dtype) {
  const auto weights = formats::Weights::open(directory);
  auto model = std::make_unique<Bert>(bert_config(directory, weights, head), Declared{});
  const Packing packing{exec, held_as(weights, dtype)};
  model->read_weights(weights, &packing);
  return model;
}

std::unique_ptr<Bert> load_bert(const std::filesystem::path& directory) {
  return load_bert(directory, directory);
}

std::unique_ptr<Bert> load_bert(const std::filesystem::path& described,
                                const std::filesystem::path& weighed) {
  const auto weights = formats::Weights::open(weighed);
  auto model = std::make_unique<Bert>(bert_config(described, weights, {}));
  model->read_weights(weights);
  return model;
}

}  // namespace fovea::models
