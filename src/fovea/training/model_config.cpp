#include "fovea/training/model_config.h"

#include <utility>

#include "fovea/decoding/generation.h"

namespace fovea::training {

namespace {

/// What every kind of model has.
template <class Config>
void set_common(Config& config, const ModelOptions& options, const text::TranslationTokenizer& tokenizer) {
  config.source_vocabulary = tokenizer.source_vocabulary().size();
  config.target_vocabulary = tokenizer.target_vocabulary().size();
  config.encoder_layers = options.encoder_layers;
  config.decoder_layers = options.decoder_layers;
  config.width = options.width;
  config.max_positions = options.max_positions;
  config.tie_source_target = options.tie_source_target && !tokenizer.has_separate_vocabularies();
  config.tie_output = options.tie_output;
  config.dropout = static_cast<float>(options.dropout);
  config.attention_dropout = static_cast<float>(options.attention_dropout);
  config.eos = tokenizer.target_vocabulary().eos();
  config.unk = tokenizer.target_vocabulary().unk();
  config.pad = tokenizer.target_vocabulary().pad();
}

models::TransformerConfig transformer_config(const Recipe& recipe,
                                             const text::TranslationTokenizer& tokenizer) {
  const ModelOptions& options = recipe.model;
  if (recipe.training.scheduled_sampling > 0)
    throw Error(Error::Kind::usage, "recipe: training.scheduled_sampling",
                "a Transformer reads all target tokens at once and samples none", "leave it out");
  models::TransformerConfig config;
  set_common(config, options, tokenizer);
  config.feed_forward = options.feed_forward;
  config.heads = options.heads;
  config.key_width = options.key_width;
  config.value_width = options.value_width;
  config.activation = options.activation;
  config.norm = options.norm == NormPlace::pre ? models::TransformerConfig::Norm::pre
                                               : models::TransformerConfig::Norm::post;
  config.positions = options.positions == PositionKind::learned
                         ? models::TransformerConfig::Positions::learned
                         : models::TransformerConfig::Positions::sinusoidal;
  config.scale_embedding = options.scale_embedding;
  config.activation_dropout = static_cast<float>(options.activation_dropout);
  models::validate(config, Error::Kind::usage, "recipe: [model]");
  return config;
}

/// What the model's config alone does not show.
void expect_possible(const Recipe& recipe, const models::RecurrentConfig& config,
                     const text::TranslationTokenizer& tokenizer) {
  if (config.copy && tokenizer.has_separate_vocabularies())
    throw Error(Error::Kind::usage, "recipe: recurrent.copy", "needs one vocabulary for source and target",
                "set tokenizer.joint = true");
  for (const auto& [asked, name] : {std::pair(recipe.decoding.coverage_penalty > 0, "coverage_penalty"),
                                    std::pair(recipe.decoding.replace_unknown, "replace_unknown")})
    if (asked && !config.attends())
      throw Error(Error::Kind::usage, "recipe: decoding." + std::string(name),
                  "asks where the model looks, and recurrent.attention is none", "leave it out");
}

models::RecurrentConfig recurrent_config(const Recipe& recipe, const text::TranslationTokenizer& tokenizer) {
  const RecurrentOptions& options = recipe.recurrent;
  models::RecurrentConfig config;
  set_common(config, recipe.model, tokenizer);
  config.cell = options.cell;
  config.bidirectional = options.bidirectional;
  config.embedding = options.embedding ? options.embedding : recipe.model.width;
  config.score = options.attention;
  config.attention_width = options.attention_width ? options.attention_width : recipe.model.width;
  config.attention_heads = options.attention_heads;
  config.match_layers = options.match_layers;
  config.normaliser = options.normaliser;
  config.monotonic_noise = static_cast<float>(options.monotonic_noise);
  config.window = options.window;
  config.reach = options.reach;
  config.order = options.order;
  config.input_feeding = options.input_feeding;
  config.coverage = options.coverage;
  config.coverage_loss = static_cast<float>(options.coverage_loss);
  config.copy = options.copy;
  config.start = options.start;
  config.variational = options.variational_dropout;
  models::validate(config, Error::Kind::usage, "recipe: [model] and [recurrent]");
  expect_possible(recipe, config, tokenizer);
  return config;
}

void expect_tokens(const DecodingOptions& options, const text::Vocabulary& vocabulary) {
  const auto expect = [&](const char* key, std::int32_t id) {
    if (id >= vocabulary.size())
      throw Error(Error::Kind::usage, std::string("recipe: decoding.") + key,
                  std::to_string(id) + " is not among the " + std::to_string(vocabulary.size()) +
                      " tokens of the tokenizer");
  };
  for (const auto id : options.suppress_tokens) expect("suppress_tokens", id);
  for (const auto id : options.begin_suppress_tokens) expect("begin_suppress_tokens", id);
  expect("forced_bos_token_id", options.forced_bos_token_id);
}

}  // namespace

models::TranslationConfig model_config(const Recipe& recipe, const text::TranslationTokenizer& tokenizer) {
  expect_tokens(recipe.decoding, tokenizer.target_vocabulary());
  if (recipe.model.kind == ModelKind::recurrent) return recurrent_config(recipe, tokenizer);
  return transformer_config(recipe, tokenizer);
}

decoding::TranslateOptions translate_options(const DecodingOptions& options, std::int64_t beam) {
  models::GenerationDefaults searching = options;
  searching.do_sample = false;
  searching.beam = beam;
  searching.nbest = searching.num_beam_groups = 1;
  auto translate = decoding::options_of(searching);
  translate.batches.max_rows = options.batch_sentences;
  return translate;
}

}  // namespace fovea::training
