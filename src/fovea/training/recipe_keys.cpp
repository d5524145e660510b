#include "fovea/training/recipe_keys.h"

#include "fovea/attention/match_score.h"
#include "fovea/training/recipe_key_table.h"

namespace fovea::training {
namespace {

using kernels::Activation;

void add_general(std::vector<Key>& keys) {
  keys.push_back(free_to_change(
      key<nullptr, &Recipe::name>("name", "what the run is called; empty: as the recipe's file")));
  keys.push_back(
      key<nullptr, &Recipe::init>("init", "model directory to continue from; empty: random weights"));
}

void add_data(std::vector<Key>& keys) {
  constexpr auto section = &Recipe::data;
  using O = DataOptions;
  keys.push_back(
      key<section, &O::source_language>("source_language", "code of the language translated from"));
  keys.push_back(key<section, &O::target_language>("target_language", "code of the language translated to"));
  keys.push_back(
      key<section, &O::train_source>("train_source", "training text, one sentence a line, plain or .gz"));
  keys.push_back(key<section, &O::train_target>("train_target", "its translations, line by line"));
  keys.push_back(
      key<section, &O::train_tsv>("train_tsv", "in place of both: one file of tab-separated columns"));
  keys.push_back(key<section, &O::valid_source>("valid_source", "text to validate on; empty: no validation"));
  keys.push_back(key<section, &O::valid_target>("valid_target", "its translations"));
  keys.push_back(key<section, &O::valid_tsv>("valid_tsv", "in place of both"));
  keys.push_back(key<section, &O::tsv_columns>("tsv_columns", "columns of source and target", {1, 1000}));
  keys.push_back(key<section, &O::source_field>(
      "source_field", "the tsv files are JSON lines, and this is the member that is the source"));
  keys.push_back(key<section, &O::target_field>("target_field", "and this the one that is the target"));
  keys.push_back(key<section, &O::max_source_tokens>(
      "max_source_tokens", "read so many tokens of a source and no more, now and ever after; 0: all", count));
  keys.push_back(key<section, &O::max_tokens>("max_tokens", "leave out pairs with a longer side, in tokens",
                                              at_least_one));
  keys.push_back(key<section, &O::max_ratio>("max_ratio",
                                             "leave out pairs of a greater length ratio; 0: none", {0, 1e6}));
}

void add_tokenizer(std::vector<Key>& keys) {
  constexpr auto section = &Recipe::tokenizer;
  using O = TokenizerOptions;
  keys.push_back(key<section, &O::model>(
      "model", "a ready SentencePiece .model; empty: train one on the training text"));
  keys.push_back(
      key<section, &O::kind>("kind", "how pieces are learned", {},
                             {choice("unigram", TokenizerKind::unigram), choice("bpe", TokenizerKind::bpe)}));
  keys.push_back(key<section, &O::vocabulary>("vocabulary", "pieces, of each language or of both", {8, 1e6}));
  keys.push_back(key<section, &O::joint>("joint", "one vocabulary for both languages"));
  keys.push_back(key<section, &O::byte_fallback>("byte_fallback", "spell unknown characters as bytes"));
  keys.push_back(key<section, &O::character_coverage>(
      "character_coverage", "share of the text's characters that get a piece", {0.9, 1}));
  keys.push_back(key<section, &O::normalisation>(
      "normalisation", "SentencePiece's rule for the text", {},
      {{"nmt_nfkc", 0}, {"nmt_nfkc_cf", 0}, {"nfkc", 0}, {"nfkc_cf", 0}, {"identity", 0}}));
  keys.push_back(key<section, &O::seed>("seed", "of the sample the tokenizer is trained on", seed_range));
}

void add_model(std::vector<Key>& keys) {
  constexpr auto section = &Recipe::model;
  using O = ModelOptions;
  constexpr Range layers{1, 1000}, width{1, 65536};
  const auto transformer = [](Key key) { return of_kind(ModelKind::transformer, std::move(key)); };
  keys.push_back(key<section, &O::kind>(
      "kind", "what the model is built of", {},
      {choice("transformer", ModelKind::transformer), choice("recurrent", ModelKind::recurrent)}));
  keys.push_back(
      key<section, &O::preset>("preset", "defaults of the keys below that are sizes", {},
                               {choice("tiny", ModelPreset::tiny), choice("small", ModelPreset::small),
                                choice("base", ModelPreset::base), choice("big", ModelPreset::big),
                                choice("custom", ModelPreset::custom)}));
  keys.push_back(
      from_preset(key<section, &O::encoder_layers>("encoder_layers", "layers of the encoder", layers)));
  keys.push_back(
      from_preset(key<section, &O::decoder_layers>("decoder_layers", "layers of the decoder", layers)));
  keys.push_back(from_preset(key<section, &O::width>("width", "width of the model, D", width)));
  keys.push_back(transformer(from_preset(
      key<section, &O::feed_forward>("feed_forward", "width of the feed-forward layers, F", {1, 1e6}))));
  keys.push_back(transformer(from_preset(key<section, &O::heads>("heads", "attention heads, H", {1, 1024}))));
  keys.push_back(transformer(key<section, &O::key_width>(
      "key_width", "width of a head's queries and keys; 0: width / heads", {0, 65536})));
  keys.push_back(transformer(key<section, &O::value_width>(
      "value_width", "width of a head's values; 0: width / heads", {0, 65536})));
  keys.push_back(transformer(
      key<section, &O::activation>("activation", "of the feed-forward layers", {},
                                   {choice("relu", Activation::relu), choice("gelu", Activation::gelu),
                                    choice("silu", Activation::silu)})));
  keys.push_back(
      transformer(key<section, &O::norm>("norm", "layer normalisation after or before each sublayer", {},
                                         {choice("post", NormPlace::post), choice("pre", NormPlace::pre)})));
  keys.push_back(transformer(key<section, &O::positions>(
      "positions", "how positions are encoded", {},
      {choice("sinusoidal", PositionKind::sinusoidal), choice("learned", PositionKind::learned)})));
  keys.push_back(key<section, &O::max_positions>("max_positions",
                                                 "longest sentence the model takes, in tokens", {2, 1e6}));
  keys.push_back(
      key<section, &O::tie_source_target>("tie_source_target", "one embedding for source and target"));
  keys.push_back(key<section, &O::tie_output>("tie_output", "the output layer shares the target embedding"));
  keys.push_back(transformer(
      key<section, &O::scale_embedding>("scale_embedding", "multiply embeddings by the root of width")));
  keys.push_back(key<section, &O::dropout>("dropout", "on embeddings and sublayers", probability));
  keys.push_back(
      key<section, &O::attention_dropout>("attention_dropout", "on attention weights", probability));
  keys.push_back(transformer(
      key<section, &O::activation_dropout>("activation_dropout", "inside feed-forward layers", probability)));
  keys.push_back(
      key<section, &O::weights>("weights", "type of the saved weights", {},
                                {choice("f32", WeightType::f32), choice("bf16", WeightType::bf16)}));
}

void add_recurrent(std::vector<Key>& keys) {
  constexpr auto section = &Recipe::recurrent;
  using O = RecurrentOptions;
  using Config = models::RecurrentConfig;
  using attention::Normaliser;
  const std::size_t first = keys.size();
  keys.push_back(
      key<section, &O::cell>("cell", "of encoder and decoder", {},
                             {choice("gru", nn::Recurrence::gru), choice("lstm", nn::Recurrence::lstm)}));
  keys.push_back(key<section, &O::bidirectional>("bidirectional", "the encoder reads in both directions"));
  keys.push_back(key<section, &O::embedding>("embedding", "width of embeddings; 0: model.width", {0, 65536}));
  std::vector<Choice> scores{{"none", 0}};
  for (const std::string& name : attention::score_names()) scores.push_back({name, 0});
  keys.push_back(key<section, &O::attention>("attention", "the score; none: a fixed context vector", {},
                                             std::move(scores)));
  keys.push_back(key<section, &O::attention_width>(
      "attention_width", "hidden width of scores that have one; 0: model.width", {0, 65536}));
  keys.push_back(key<section, &O::attention_heads>("attention_heads", "heads, H", {1, 1024}));
  keys.push_back(key<section, &O::match_layers>("match_layers", "hidden layers of match", {1, 100}));
  keys.push_back(key<section, &O::normaliser>(
      "normaliser", "what turns scores into weights", {},
      {choice("softmax", Normaliser::softmax), choice("sparsemax", Normaliser::sparsemax),
       choice("hardmax", Normaliser::hardmax), choice("monotonic", Normaliser::monotonic)}));
  keys.push_back(key<section, &O::monotonic_noise>(
      "monotonic_noise", "deviation of the noise on monotonic energies in training", {0, 100}));
  keys.push_back(key<section, &O::window>(
      "window", "which source tokens may be looked at", {},
      {choice("global", Config::Window::global), choice("local_m", Config::Window::local_m),
       choice("local_p", Config::Window::local_p)}));
  keys.push_back(key<section, &O::reach>("reach", "of a local window, to each side", {0, 1e6}));
  keys.push_back(key<section, &O::order>(
      "order", "attend then step, step then attend, or between two cells", {},
      {choice("bahdanau", Config::Order::bahdanau), choice("luong", Config::Order::luong),
       choice("conditional", Config::Order::conditional)}));
  keys.push_back(key<section, &O::input_feeding>("input_feeding", "luong: the readout joins the next input"));
  keys.push_back(key<section, &O::coverage>("coverage", "the score sees how much was looked at before"));
  keys.push_back(key<section, &O::coverage_loss>("coverage_loss",
                                                 "weight of the loss on looking again; 0: none", {0, 100}));
  keys.push_back(key<section, &O::copy>(
      "copy", "pointer-generator: what is looked at may be copied; needs a joint tokenizer"));
  keys.push_back(
      key<section, &O::start>("start", "where the decoder's state begins", {},
                              {choice("zeros", Config::Start::zeros), choice("last", Config::Start::last),
                               choice("mean", Config::Start::mean)}));
  keys.push_back(
      key<section, &O::variational_dropout>("variational_dropout", "one mask for all steps, on states too"));
  for (std::size_t i = first; i < keys.size(); ++i) keys[i].of_kind = ModelKind::recurrent;
}

void add_optimisation(std::vector<Key>& keys) {
  constexpr auto section = &Recipe::training;
  using O = TrainingOptions;
  keys.push_back(
      free_to_change(key<section, &O::updates>("updates", "updates to train for; 0: no limit", count)));
  keys.push_back(
      free_to_change(key<section, &O::epochs>("epochs", "passes over the data; 0: no limit", count)));
  keys.push_back(
      key<section, &O::batch_tokens>("batch_tokens", "most tokens of a batch on either side", {1, 1e8}));
  keys.push_back(key<section, &O::accumulate>("accumulate", "batches an update", {1, 1e6}));
  keys.push_back(key<section, &O::optimizer>(
      "optimizer", "adamw decays weights apart from the gradient", {},
      {choice("adam", OptimiserKind::adam), choice("adamw", OptimiserKind::adamw)}));
  keys.push_back(free_to_change(
      key<section, &O::rate>("rate", "highest learning rate, reached at the end of warm-up", {0, 10})));
  keys.push_back(key<section, &O::beta1>("beta1", "decay of the gradient's mean", {0, 0.999999}));
  keys.push_back(key<section, &O::beta2>("beta2", "decay of its square's mean", {0, 0.9999999}));
  keys.push_back(key<section, &O::epsilon>("epsilon", "added to the root of the square's mean", {1e-16, 1}));
  keys.push_back(key<section, &O::weight_decay>("weight_decay", "pull of the weights towards zero", {0, 1}));
  keys.push_back(free_to_change(key<section, &O::schedule>(
      "schedule", "the rate after warm-up", {},
      {choice("inverse_sqrt", ScheduleKind::inverse_sqrt), choice("cosine", ScheduleKind::cosine),
       choice("linear", ScheduleKind::linear), choice("constant", ScheduleKind::constant)})));
  keys.push_back(free_to_change(key<section, &O::warmup>("warmup", "updates of linear warm-up", count)));
  keys.push_back(free_to_change(
      key<section, &O::minimum_rate>("minimum_rate", "the schedule does not fall below", {0, 10})));
  keys.push_back(free_to_change(
      key<section, &O::clip_norm>("clip_norm", "scale gradients down to this norm; 0: never", {0, 1e9})));
  keys.push_back(key<section, &O::label_smoothing>("label_smoothing",
                                                   "probability spread over the vocabulary", probability));
  keys.push_back(key<section, &O::scheduled_sampling>(
      "scheduled_sampling", "share of target tokens read as the model itself drew them, in the end; 0: none",
      {0, 1}));
  keys.push_back(key<section, &O::scheduled_sampling_warmup>("scheduled_sampling_warmup",
                                                             "updates in which that share grows", count));
  keys.push_back(key<section, &O::scheduled_sampling_schedule>(
      "scheduled_sampling_schedule", "how it grows", {},
      {choice("linear", SamplingSchedule::linear),
       choice("inverse_sigmoid", SamplingSchedule::inverse_sigmoid)}));
  keys.push_back(key<section, &O::seed>("seed", "of weights, dropout and the order of the data", seed_range));
}

void add_run(std::vector<Key>& keys) {
  constexpr auto section = &Recipe::training;
  using O = TrainingOptions;
  keys.push_back(key<section, &O::average_decay>(
      "average_decay", "moving average of the weights, such as 0.9998; 0: none", {0, 0.9999999}));
  keys.push_back(free_to_change(
      key<section, &O::average_last>("average_last", "checkpoints averaged at the end; 0: none", {0, 1000})));
  keys.push_back(free_to_change(
      key<section, &O::validate_every>("validate_every", "updates between validations", at_least_one)));
  keys.push_back(
      free_to_change(key<section, &O::validate_bleu>("validate_bleu", "translate the validation text too")));
  keys.push_back(free_to_change(key<section, &O::patience>(
      "patience", "validations without a better score before stopping; 0: never", count)));
  keys.push_back(free_to_change(
      key<section, &O::save_every>("save_every", "updates between checkpoints", at_least_one)));
  keys.push_back(free_to_change(
      key<section, &O::keep_last>("keep_last", "checkpoints kept beside the best", {1, 1000})));
  keys.push_back(free_to_change(
      key<section, &O::log_every>("log_every", "updates between lines of the log", at_least_one)));
  keys.push_back(free_to_change(
      key<section, &O::non_finite>("non_finite", "what an infinite or undefined loss or gradient does", {},
                                   {choice("stop", NonFinite::stop), choice("skip", NonFinite::skip)})));
  keys.push_back(free_to_change(key<section, &O::max_minutes_cpu>(
      "max_minutes_cpu", "stop after this process time; 0: no limit", {0, 1e9})));
}

}  // namespace

std::span<const Key> recipe_keys() {
  static const std::vector<Key> keys = [] {
    std::vector<Key> all;
    for (const auto add : {add_general, add_data, add_tokenizer, add_model, add_recurrent, add_optimisation,
                           add_run, add_decoding})
      add(all);
    return all;
  }();
  return keys;
}

const Key* find_key(std::string_view full_name) {
  for (const Key& key : recipe_keys())
    if (key.full_name() == full_name) return &key;
  return nullptr;
}

void apply_preset(ModelPreset preset, ModelOptions& model) {
  const auto set = [&model](std::int64_t layers, std::int64_t width, std::int64_t feed_forward,
                            std::int64_t heads) {
    model.encoder_layers = model.decoder_layers = layers;
    model.width = width;
    model.feed_forward = feed_forward;
    model.heads = heads;
  };
  model.preset = preset;
  if (model.kind == ModelKind::recurrent) {
    if (preset == ModelPreset::custom) return;
    const std::int64_t layers = preset == ModelPreset::big ? 2 : 1;
    return set(layers, std::int64_t{128} << static_cast<int>(preset), model.feed_forward, model.heads);
  }
  switch (preset) {
    case ModelPreset::tiny:
      return set(4, 128, 256, 4);
    case ModelPreset::small:
      return set(3, 256, 1024, 4);
    case ModelPreset::base:
      return set(6, 512, 2048, 8);
    case ModelPreset::big:
      return set(6, 1024, 4096, 16);
    case ModelPreset::custom:
      return;
  }
}

}  // namespace fovea::training
