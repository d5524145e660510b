#include "fovea/training/language_task.h"

#include <cmath>

#include "fovea/formats/adapter.h"
#include "fovea/formats/json.h"
#include "fovea/metrics/perplexity.h"
#include "fovea/training/adaptation.h"

namespace fovea::training {
namespace {

/// What both families have, as a recipe and a tokenizer say it.
template <class Config>
Config sized(const ModelOptions& options, const text::Tokenizer& tokenizer) {
  Config config;
  config.vocabulary = tokenizer.size();
  config.max_positions = options.max_positions;
  config.width = options.width;
  config.layers = options.layers;
  config.heads = options.heads;
  config.feed_forward = options.feed_forward;
  config.tie_output = options.tie_output;
  const text::SpecialIds& special = tokenizer.special();
  config.bos = special.bos < 0 ? std::nullopt : std::optional(special.bos);
  config.eos = special.eos < 0 ? std::vector<std::int32_t>{} : std::vector{special.eos};
  return config;
}

void set_dropout(models::Gpt2Config& config, const ModelOptions& options) {
  config.embedding_dropout = config.residual_dropout = static_cast<float>(options.dropout);
  config.attention_dropout = static_cast<float>(options.attention_dropout);
}

void set_dropout(models::LlamaConfig& config, const ModelOptions& options) {
  config.dropout = static_cast<float>(options.dropout);
  config.attention_dropout = static_cast<float>(options.attention_dropout);
}

models::LanguageConfig recipe_config(const ModelOptions& options, const text::Tokenizer& tokenizer) {
  constexpr auto where = "recipe: [model]";
  if (options.kind == ModelKind::gpt2) {
    auto config = sized<models::Gpt2Config>(options, tokenizer);
    config.activation = options.activation;
    models::validate(config, Error::Kind::usage, where);
    return config;
  }
  auto config = sized<models::LlamaConfig>(options, tokenizer);
  config.kv_heads = options.kv_heads;
  config.rotary.rotated = config.E();
  models::validate(config, Error::Kind::usage, where);
  return config;
}

// The architecture: of the model that the recipe begins from, or as it describes it. A run that goes on has a
// copy of the former.
models::LanguageConfig make_config(const Recipe& recipe, const TaskPlaces& places,
                                   const text::Tokenizer& tokenizer) {
  models::LanguageConfig config;
  if (recipe.init.empty()) {
    config = recipe_config(recipe.model, tokenizer);
  } else {
    const auto folder = places.tokenizer.empty() ? std::filesystem::path(recipe.init) : places.tokenizer;
    config = models::read_language_config(formats::read_config_of(folder));
  }
  std::visit([&](auto& family) { set_dropout(family, recipe.model); }, config);
  return config;
}

std::unique_ptr<models::LanguageModel> beginning(const Recipe& recipe, const models::LanguageConfig& config,
                                                 const TaskPlaces& places) {
  if (adapts(recipe)) {
    auto base = models::declare_language_model(config);
    base->read_weights(formats::Weights::open(recipe.init));
    adapt(*base, recipe);
    return base;
  }
  auto model = models::make_language_model(config, static_cast<std::uint64_t>(recipe.training.seed));
  if (places.from_beginning && !recipe.init.empty()) model->read_weights(formats::Weights::open(recipe.init));
  return model;
}

std::int64_t context_of(const Recipe& recipe, const models::LanguageModel& model) {
  const std::int64_t asked = recipe.training.context, positions = model.max_positions();
  if (asked > positions)  // of a model that the recipe begins from
    throw Error(
        Error::Kind::usage, "recipe: training.context",
        std::to_string(asked) + " is beyond the " + std::to_string(positions) + " positions of the model",
        "lower it");
  return asked > 0 ? asked : positions;
}

data::PieceBatcherOptions batcher_options(const Recipe& recipe, const models::LanguageModel& model) {
  return {.batch_tokens = recipe.training.batch_tokens,
          .piece = context_of(recipe, model),
          .seed = static_cast<std::uint64_t>(recipe.training.seed)};
}

std::string generation_json(const models::LanguageVocabulary& vocabulary) {
  formats::JsonWriter json;
  json.begin_object().field("do_sample", true);
  if (vocabulary.bos) json.field("bos_token_id", *vocabulary.bos);
  if (!vocabulary.eos.empty()) json.field("eos_token_id", vocabulary.eos.front());
  return json.end_object().finish();
}

}  // namespace

LanguageTask::LanguageTask(const Recipe& recipe, const TaskPlaces& places, const Notes& notes)
    : recipe_(recipe),
      corpus_(prepare_language_corpus(recipe, places.data, places.tokenizer, notes)),
      fingerprint_(corpus_.train.fingerprint()),
      config_(make_config(recipe, places, *corpus_.tokenizer)),
      model_(beginning(recipe, config_, places)),
      batcher_(corpus_.train, batcher_options(recipe, *model_)),
      learner_(recipe.training, *model_, batcher_) {
  if (corpus_.tokenizer->size() > model_->vocabulary().size)
    throw Error(Error::Kind::model, recipe.init.empty() ? "tokenizer.json" : recipe.init,
                "the tokenizer has " + std::to_string(corpus_.tokenizer->size()) + " tokens, the model " +
                    std::to_string(model_->vocabulary().size));
}

Amount LanguageTask::amount() {
  return {.examples = corpus_.train.size() == 1 ? "document" : "documents",
          .count = corpus_.train.size(),
          .tokens = std::to_string(corpus_.train.predicted()) + " tokens of " +
                    std::to_string(corpus_.train_characters) + " characters",
          .batches = batcher_.batches_in_epoch()};
}

FolderFiles LanguageTask::files() const {
  FolderFiles files = corpus_.tokenizer_files;
  files.emplace_back("config.json", models::config_json(config_, stored_type(recipe_.model)));
  files.emplace_back("generation_config.json", generation_json(model_->vocabulary()));
  add_adapter_config(files, recipe_, *model_, "CAUSAL_LM");
  return files;
}

ValidationResult LanguageTask::validate(Care /*care*/, const kernels::Execution& exec) const {
  std::vector<std::vector<std::int32_t>> documents;
  for (std::int64_t i = 0; i < corpus_.valid.size(); ++i) {
    const auto ids = corpus_.valid.document(i);
    documents.emplace_back(ids.begin(), ids.end());
  }
  const std::int64_t context = context_of(recipe_, *model_);
  ValidationResult result;
  result.loss =
      metrics::perplexity(*model_, documents, {.window = context, .stride = context}, exec).per_token();
  return result;
}

void LanguageTask::summarise(formats::JsonWriter& json, const ValidationResult* final) const {
  json.field("documents", corpus_.train.size()).field("characters", corpus_.train_characters);
  if (!final) return;
  const double nats = final->loss * static_cast<double>(corpus_.valid.predicted());
  json.field("valid_perplexity", std::exp(final->loss))
      .field("valid_nats_per_character", nats / static_cast<double>(corpus_.valid_characters));
}

}  // namespace fovea::training
