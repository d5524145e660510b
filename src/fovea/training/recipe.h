#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/base/dtype.h"
#include "fovea/data/document_text.h"
#include "fovea/kernels/activation.h"
#include "fovea/kernels/execution.h"
#include "fovea/models/generation_defaults.h"
#include "fovea/models/lora_options.h"
#include "fovea/models/recurrent_config.h"
#include "fovea/text/language_tokenizer.h"
#include "fovea/training/classification_options.h"
#include "fovea/training/masking_options.h"
#include "fovea/training/tagging_options.h"

/// A recipe: everything that decides what a training run does, as one TOML file.
/// Each key is described once (name, range, explanation), those of all tasks in recipe_keys.cpp, those of one
/// task in a file of its own, such as translation_recipe.cpp; parsing, overriding, printing and comparing all
/// follow from there. Paths in [data] are relative to the data folder, the others to the current one.
namespace fovea::training {

/// What a model is trained for. Each has an entry in recipe_task.h.
enum class TaskKind {
  translation,
  language_model,
  classification,
  token_classification,
  masked_language_model
};

struct DataOptions {
  std::string source_language, target_language;  ///< codes such as "en"; kept with the model
  std::string train_source, train_target;        ///< two files of N lines, plain or .gz
  std::string train_tsv;                         ///< or one file of tab-separated columns
  std::string valid_source, valid_target, valid_tsv;
  std::string train_dictionary, valid_dictionary;  ///< or pronunciations of words, as CMUdict has them
  bool stress = false;                             ///< keep the stress of their vowels
  double valid_share = 0;  ///< of the words of train_dictionary, kept for validation: data::held_out()
  std::array<std::int64_t, 2> tsv_columns{1, 2};  ///< source and target column, from 1
  std::string source_field, target_field;         ///< of JSON lines, which the TSV files then are
  std::int64_t max_source_tokens = 0;             ///< what a source has beyond is not read; 0: read all
  std::int64_t max_tokens = 256;                  ///< pairs with a longer side are left out of training
  double max_ratio = 0;                           ///< pairs of a greater length ratio too; 0: no limit
};

enum class TokenizerKind { unigram, bpe, characters, words, as_source };

struct TokenizerOptions {
  std::string model;  ///< a ready SentencePiece model; empty: train one on the training text
  TokenizerKind kind = TokenizerKind::unigram;
  TokenizerKind target_kind = TokenizerKind::as_source;  ///< of a target language with pieces of its own
  std::int64_t vocabulary = 10000;                       ///< pieces
  bool joint = true;                                     ///< one vocabulary for both languages
  bool byte_fallback = true;
  double character_coverage = 0.9995;
  std::string normalisation = "nmt_nfkc";
  std::int64_t seed = 1;
};

/// Where a language model's text comes from.
struct TextOptions {
  std::vector<std::string> train, valid;  ///< files, plain or .gz
  double valid_share = 0;                 ///< without `valid`: the end of the training text is kept back
  data::Documents documents = data::Documents::file;
  std::int64_t column = 0;  ///< of lines: which part between tabs, from 1; 0: the whole line
};

/// What a language model reads, unless it begins from another's weights.
struct TextTokenizerOptions {
  std::string file;  ///< a ready tokenizer.json; empty: learn one from the training text
  text::LanguageTokenizerTraining::Kind kind = text::LanguageTokenizerTraining::Kind::characters;
  std::int64_t vocabulary = 8000;  ///< of byte pairs
  std::int64_t least_count = 1;    ///< of characters
};

enum class ModelKind { transformer, recurrent, gpt2, llama };
enum class ModelPreset { tiny, small, base, big, custom };
enum class NormPlace { post, pre };
enum class PositionKind { sinusoidal, learned };
enum class WeightType { f32, bf16 };

struct ModelOptions {
  ModelKind kind = ModelKind::transformer;
  ModelPreset preset = ModelPreset::tiny;  ///< gives the next six their defaults
  std::int64_t encoder_layers = 4, decoder_layers = 4, width = 128, feed_forward = 256, heads = 4;
  std::int64_t layers = 4;                      ///< of a model that has but one stack of them
  std::int64_t kv_heads = 0;                    ///< of llama; 0: heads
  std::int64_t key_width = 0, value_width = 0;  ///< of one head; 0: width / heads
  kernels::Activation activation = kernels::Activation::relu;
  NormPlace norm = NormPlace::post;
  PositionKind positions = PositionKind::sinusoidal;
  std::int64_t max_positions = 512;
  bool tie_source_target = true, tie_output = true, scale_embedding = true;
  double dropout = 0.1, attention_dropout = 0, activation_dropout = 0;
  WeightType weights = WeightType::f32;  ///< in the saved model; training computes in f32

  /// Width of the keys, and of the values, of one head.
  std::int64_t head_key_width() const { return key_width ? key_width : width / heads; }
  std::int64_t head_value_width() const { return value_width ? value_width : width / heads; }
};

/// As what a model of this recipe is stored.
DType stored_type(const ModelOptions& options);

/// What only a recurrent model has; models/recurrent_config.h explains each.
struct RecurrentOptions {
  nn::Recurrence cell = nn::Recurrence::gru;
  bool bidirectional = true;
  std::int64_t embedding = 0;  ///< 0: as wide as the model
  std::string attention = "additive";
  std::int64_t attention_width = 0;  ///< 0: as wide as the model
  std::int64_t attention_heads = 1, match_layers = 1;
  attention::Normaliser normaliser = attention::Normaliser::softmax;
  double monotonic_noise = 1.0;
  models::RecurrentConfig::Window window = models::RecurrentConfig::Window::global;
  std::int64_t reach = 10;
  models::RecurrentConfig::Order order = models::RecurrentConfig::Order::bahdanau;
  bool input_feeding = false;
  bool coverage = false;
  double coverage_loss = 0;
  bool copy = false;
  models::RecurrentConfig::Start start = models::RecurrentConfig::Start::last;
  bool variational_dropout = false;
};

enum class OptimiserKind { adam, adamw };
enum class ScheduleKind { inverse_sqrt, cosine, linear, constant };
enum class SamplingSchedule { linear, inverse_sigmoid };
enum class NonFinite { stop, skip };
/// What validations count in translations: BLEU, or wrong symbols and wrong sequences.
enum class ValidMetric { bleu, error_rate, rouge };

struct TrainingOptions {
  std::int64_t updates = 8000, epochs = 0;  ///< whichever comes first; 0: no limit
  std::int64_t batch_tokens = 4096;         ///< at most so many tokens on either side; sentences are packed
  std::int64_t context = 0;     ///< tokens of a piece of text; 0: as many as the model has positions
  std::int64_t accumulate = 1;  ///< batches an update
  kernels::Precision precision = kernels::Precision::f32;  ///< of an update's products; weights are f32
  OptimiserKind optimizer = OptimiserKind::adam;
  double rate = 0.001, beta1 = 0.9, beta2 = 0.98, epsilon = 1e-9, weight_decay = 0;
  ScheduleKind schedule = ScheduleKind::inverse_sqrt;
  std::int64_t warmup = 2000;  ///< updates
  double minimum_rate = 0;
  double clip_norm = 0;  ///< 0: no clipping
  double label_smoothing = 0.1;
  double scheduled_sampling =
      0;  ///< share of target tokens that the model reads as it predicted them, in the end
  std::int64_t scheduled_sampling_warmup = 0;  ///< updates until then
  SamplingSchedule scheduled_sampling_schedule = SamplingSchedule::linear;
  std::int64_t seed = 1;
  double average_decay = 0;       ///< exponential moving average of the weights; 0: none
  std::int64_t average_last = 5;  ///< checkpoints averaged into the final model; 0: none
  std::int64_t validate_every = 500;
  bool validate_bleu = true;
  ValidMetric validate_metric = ValidMetric::bleu;
  std::int64_t patience = 0;  ///< validations without improvement before stopping; 0: never
  std::int64_t save_every = 500, keep_last = 5;
  std::int64_t log_every = 50;
  NonFinite non_finite = NonFinite::stop;
  double max_minutes_cpu = 0;  ///< of process time; 0: no limit
};

/// How the trained model translates where nobody says otherwise, and is validated on the way.
struct DecodingOptions : models::GenerationDefaults {
  DecodingOptions() { max_length_extra = 20; }

  std::int64_t validation_beam = 1;
  std::int64_t batch_sentences = 64;
};

struct Recipe {
  TaskKind task = TaskKind::translation;
  std::string name;  ///< empty in the file: the file's own name
  std::string init;  ///< a model directory whose weights training starts from; empty: random weights
  DataOptions data;
  TokenizerOptions tokenizer;
  TextOptions text;
  TextTokenizerOptions text_tokenizer;
  ModelOptions model;
  RecurrentOptions recurrent;
  models::LoraOptions lora;  ///< of rank 0: the whole model learns
  TrainingOptions training;
  DecodingOptions decoding;
  ClassificationOptions classification;
  TaggingOptions tagging;
  MaskingOptions masking;
};

/// The recipe in `path`, with "section.key=value" overrides applied in order (the last wins).
/// Throws Error(usage) as "file:line:column: key ..." or "--set ...": bad TOML, duplicate or unknown key
/// (with the nearest known one), wrong type, value out of range, keys that contradict each other, a file that
/// cannot be read.
Recipe read_recipe(const std::string& path, const std::vector<std::string>& overrides = {});

/// The same from text; `file` names it in messages.
Recipe parse_recipe(std::string_view toml, const std::string& file,
                    const std::vector<std::string>& overrides = {});

/// The whole recipe as TOML, each key with its explanation and choices; parses back to an equal recipe. Sizes
/// that the preset gives are comments, so that another preset can be written in its place.
std::string to_toml(const Recipe& recipe);

/// "transformer-tiny", "-small", "-base", "-big", and so on for each family of models, with the task before
/// it where it is not translation ("classify-transformer-tiny"): names for preset_recipe().
std::vector<std::string> preset_names();

/// A complete recipe to start from. Throws Error(usage) naming the nearest preset if there is none of that
/// name.
Recipe preset_recipe(std::string_view name);

/// Throws Error(usage) listing the keys that differ between the recipe of an interrupted run and the one to
/// continue with, except those that may change in between: limits, intervals, logging, decoding, and what
/// helps a run that diverged (learning rate, clipping, skipping).
void check_resumable(const Recipe& saved, const Recipe& recipe);

}  // namespace fovea::training
