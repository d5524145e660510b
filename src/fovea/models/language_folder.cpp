#include "fovea/models/language_folder.h"

#include "fovea/formats/adapter.h"
#include "fovea/models/weights_on_disk.h"

namespace fovea::models {
namespace {

template <class... Options>
std::unique_ptr<LanguageModel> make(const Gpt2Config& config, Options... options) {
  return std::make_unique<Gpt2>(config, options...);
}

template <class... Options>
std::unique_ptr<LanguageModel> make(const LlamaConfig& config, Options... options) {
  return std::make_unique<Llama>(config, options...);
}

// A model directory's weights and what its config.json describes, which they back.
struct Opened {
  formats::Weights weights;
  LanguageConfig config;
};

Opened open(const std::filesystem::path& described, const std::filesystem::path& weighed) {
  auto weights = formats::Weights::open(weighed);  // first: it says best what a folder is that is no model's
  auto config = read_language_config(formats::read_config_of(described));
  expect_size(weights, parameter_count(config));
  return {std::move(weights), std::move(config)};
}

}  // namespace

bool is_language_model(std::string_view model_type) { return model_type == "gpt2" || is_llama(model_type); }

std::unique_ptr<LanguageModel> make_language_model(const LanguageConfig& config, std::uint64_t seed) {
  return std::visit([&](const auto& family) { return make(family, seed); }, config);
}

std::unique_ptr<LanguageModel> declare_language_model(const LanguageConfig& config) {
  return std::visit([](const auto& family) { return make(family, Declared{}); }, config);
}

double parameter_count(const LanguageConfig& config) {
  return std::visit([](const auto& family) { return parameter_count(family); }, config);
}

std::string config_json(const LanguageConfig& config, DType weights) {
  return std::visit([&](const auto& family) { return config_json(family, weights); }, config);
}

LanguageConfig read_language_config(const formats::Json& config) {
  const auto type = config.at("model_type");
  if (type.text() == "gpt2") return read_gpt2_config(config);
  if (is_llama(type.text())) return read_llama_config(config);
  type.reject("a model of type '" + printable(type.text()) + "'",
              "language models are gpt2, llama, mistral and qwen2");
}

std::unique_ptr<LanguageModel> load_language_model(const std::filesystem::path& directory) {
  return load_language_model(directory, directory);
}

std::unique_ptr<LanguageModel> load_language_model(const std::filesystem::path& described,
                                                   const std::filesystem::path& weighed) {
  const auto [weights, config] = open(described, weighed);
  auto model = make_language_model(config);
  model->read_weights(weights);
  return model;
}

std::unique_ptr<LanguageModel> load_language_model_for_inference(const std::filesystem::path& directory,
                                                                 const kernels::Execution& exec,
                                                                 std::optional<DType> dtype) {
  const auto [weights, config] = open(directory, directory);
  auto model = declare_language_model(config);
  const Packing packing{exec, dtype.value_or(stored_as(weights))};
  model->read_weights(weights, &packing);
  return model;
}

}  // namespace fovea::models
