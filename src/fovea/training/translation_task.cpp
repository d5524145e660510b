#include "fovea/training/translation_task.h"

#include "fovea/training/adaptation.h"
#include "fovea/training/model_config.h"
#include "fovea/training/translation_validation.h"

namespace fovea::training {
namespace {

data::BatcherOptions batcher_options(const Recipe& recipe, const models::TranslationConfig& config) {
  return {.batch_tokens = recipe.training.batch_tokens,
          .seed = static_cast<std::uint64_t>(recipe.training.seed),
          .eos = models::vocabulary_of(config).eos,
          .decoder_start = models::vocabulary_of(config).start};
}

// How the model is used where nobody says otherwise; what is not read in training is not read then.
models::GenerationDefaults generation_of(const Recipe& recipe) {
  models::GenerationDefaults generation = recipe.decoding;
  generation.max_source_tokens = recipe.data.max_source_tokens;
  return generation;
}

// The model at its beginning: random, or the weights that the recipe starts from.
std::unique_ptr<models::TranslationModel> beginning(const Recipe& recipe,
                                                    const models::TranslationConfig& config,
                                                    const TaskPlaces& places) {
  if (adapts(recipe)) {
    auto base = models::declare_translation_model(config);
    base->read_weights(formats::Weights::open(recipe.init));
    adapt(*base, recipe);
    return base;
  }
  auto model = models::make_translation_model(config, static_cast<std::uint64_t>(recipe.training.seed));
  if (places.from_beginning && !recipe.init.empty()) model->read_weights(formats::Weights::open(recipe.init));
  return model;
}

// Weights that continue from another model need its tokenizer.
std::optional<text::TranslationTokenizer> given_tokenizer(const Recipe& recipe, const TaskPlaces& places) {
  if (!places.tokenizer.empty()) return text::TranslationTokenizer::read(places.tokenizer);
  if (recipe.init.empty()) return std::nullopt;
  return text::TranslationTokenizer::read(recipe.init);
}

}  // namespace

TranslationTask::TranslationTask(const Recipe& recipe, const TaskPlaces& places, const Notes& notes)
    : recipe_(recipe),
      corpus_(prepare_corpus(recipe, places.data, given_tokenizer(recipe, places), notes)),
      fingerprint_(corpus_.train.fingerprint()),
      config_(model_config(recipe, corpus_.tokenizer)),
      model_(beginning(recipe, config_, places)),
      batcher_(corpus_.train, batcher_options(recipe, config_)),
      learner_(recipe.training, *model_, batcher_) {}

Amount TranslationTask::amount() {
  const auto& found = corpus_.train.statistics();
  return {.examples = "pairs",
          .count = corpus_.train.size(),
          .tokens = std::to_string(found.source_tokens) + " source and " +
                    std::to_string(found.target_tokens) + " target tokens",
          .batches = batcher_.batches_in_epoch()};
}

FolderFiles TranslationTask::files() const {
  FolderFiles files;
  for (const auto& [name, content] : corpus_.tokenizer.files()) files.emplace_back(name, content);
  files.emplace_back("config.json",
                     models::config_json(config_, generation_of(recipe_), stored_type(recipe_.model)));
  files.emplace_back("generation_config.json",
                     models::generation_config_json(config_, generation_of(recipe_)));
  add_adapter_config(files, recipe_, *model_, "SEQ_2_SEQ_LM");
  return files;
}

const Metric* TranslationTask::metric() const {
  if (!recipe_.training.validate_bleu) return nullptr;
  switch (recipe_.training.validate_metric) {
    case ValidMetric::bleu:
      return &bleu_metric;
    case ValidMetric::error_rate:
      return &sequence_error_metric;
    case ValidMetric::rouge:
      break;
  }
  return &rougeL_metric;
}

ValidationResult TranslationTask::validate(Care care, const kernels::Execution& exec) const {
  const std::int64_t beam =
      care == Care::at_the_end ? recipe_.decoding.beam : recipe_.decoding.validation_beam;
  return validate_translation(*model_, corpus_, recipe_, recipe_.training.validate_bleu ? beam : 0, exec);
}

void TranslationTask::summarise(formats::JsonWriter& json, const ValidationResult* final) const {
  json.field("pairs", corpus_.train.size());
  if (final && !final->metrics.empty()) json.field("valid_beam", recipe_.decoding.beam);
}

}  // namespace fovea::training
