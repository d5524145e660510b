#include "fovea/training/model_config.h"

namespace fovea::training {

models::TranslationConfig model_config(const Recipe& recipe, const text::TranslationTokenizer& tokenizer) {
  const ModelOptions& options = recipe.model;
  models::TransformerConfig config;
  config.source_vocabulary = tokenizer.source_vocabulary().size();
  config.target_vocabulary = tokenizer.target_vocabulary().size();
  config.encoder_layers = options.encoder_layers;
  config.decoder_layers = options.decoder_layers;
  config.width = options.width;
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
  config.max_positions = options.max_positions;
  config.tie_source_target = options.tie_source_target && !tokenizer.has_separate_vocabularies();
  config.tie_output = options.tie_output;
  config.scale_embedding = options.scale_embedding;
  config.dropout = static_cast<float>(options.dropout);
  config.attention_dropout = static_cast<float>(options.attention_dropout);
  config.activation_dropout = static_cast<float>(options.activation_dropout);
  config.eos = tokenizer.target_vocabulary().eos();
  config.unk = tokenizer.target_vocabulary().unk();
  config.pad = tokenizer.target_vocabulary().pad();
  models::validate(config, Error::Kind::usage, "recipe: [model]");
  return config;
}

decoding::TranslateOptions translate_options(const DecodingOptions& options, std::int64_t beam) {
  decoding::TranslateOptions translate;
  translate.beam.beam = beam;
  translate.beam.length_penalty.kind = options.length_penalty_kind == LengthPenalty::gnmt
                                           ? decoding::LengthPenalty::Kind::gnmt
                                           : decoding::LengthPenalty::Kind::power;
  translate.beam.length_penalty.alpha = options.length_penalty;
  translate.beam.max_length_ratio = options.max_length_ratio;
  translate.beam.max_length_extra = options.max_length_extra;
  translate.batches.max_rows = options.batch_sentences;
  return translate;
}

models::GenerationDefaults generation_defaults(const DecodingOptions& options) {
  return {options.beam, options.length_penalty};
}

}  // namespace fovea::training
