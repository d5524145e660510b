// What recipes for translation say, beside decoding_keys.cpp.
#include <string>

#include "fovea/attention/match_score.h"
#include "fovea/training/recipe_key_table.h"
#include "fovea/training/recipe_task.h"

namespace fovea::training {
namespace {

using kernels::Activation;

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
  keys.push_back(key<section, &O::train_dictionary>("train_dictionary",
                                                    "in place of both: WORD PH ON EM a line, as CMUdict"));
  keys.push_back(key<section, &O::valid_dictionary>("valid_dictionary", "the same of other words"));
  keys.push_back(key<section, &O::valid_share>(
      "valid_share", "or this share of train_dictionary's words, by their hash", probability));
  keys.push_back(key<section, &O::stress>("stress", "keep the stress digits of its phonemes"));
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
  keys.push_back(key<section, &O::kind>(
      "kind", "how pieces are learned", {},
      {choice("unigram", TokenizerKind::unigram), choice("bpe", TokenizerKind::bpe),
       choice("char", TokenizerKind::characters), choice("word", TokenizerKind::words)}));
  keys.push_back(key<section, &O::target_kind>(
      "target_kind", "of the target language, if joint = false", {},
      {choice("unigram", TokenizerKind::unigram), choice("bpe", TokenizerKind::bpe),
       choice("char", TokenizerKind::characters), choice("word", TokenizerKind::words),
       choice("as_source", TokenizerKind::as_source)}));
  keys.push_back(key<section, &O::vocabulary>(
      "vocabulary", "pieces, of each language or of both; of char and word at most", {8, 1e6}));
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
  const auto transformer = [](Key key) { return of_kinds({ModelKind::transformer}, std::move(key)); };
  keys.push_back(key<section, &O::kind>(
      "kind", "what the model is built of", {},
      {choice("transformer", ModelKind::transformer), choice("recurrent", ModelKind::recurrent)}));
  keys.push_back(
      key<section, &O::preset>("preset", "defaults of the keys below that are sizes", {}, preset_choices()));
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
  for (std::size_t i = first; i < keys.size(); ++i) keys[i].kinds = {ModelKind::recurrent};
}

void add_learning(std::vector<Key>& keys) {
  constexpr auto section = &Recipe::training;
  using O = TrainingOptions;
  keys.push_back(key<section, &O::scheduled_sampling>(
      "scheduled_sampling", "share of target tokens read as the model itself drew them, in the end; 0: none",
      {0, 1}));
  keys.push_back(key<section, &O::scheduled_sampling_warmup>("scheduled_sampling_warmup",
                                                             "updates in which that share grows", count));
  keys.push_back(key<section, &O::scheduled_sampling_schedule>(
      "scheduled_sampling_schedule", "how it grows", {},
      {choice("linear", SamplingSchedule::linear),
       choice("inverse_sigmoid", SamplingSchedule::inverse_sigmoid)}));
  keys.push_back(
      free_to_change(key<section, &O::validate_bleu>("validate_bleu", "translate the validation text too")));
  keys.push_back(free_to_change(key<section, &O::validate_metric>(
      "validate_metric", "BLEU; the share of wrong symbols and sequences; ROUGE of words with stemmer", {},
      {choice("bleu", ValidMetric::bleu), choice("error_rate", ValidMetric::error_rate),
       choice("rouge", ValidMetric::rouge)})));
}

void add_keys(std::vector<Key>& keys) {
  for (const auto add : {add_data, add_tokenizer, add_model, add_recurrent, add_learning, add_decoding})
    add(keys);
}

void set_sizes(ModelPreset preset, ModelOptions& model) {
  const auto set = [&model](std::int64_t layers, std::int64_t width, std::int64_t feed_forward,
                            std::int64_t heads) {
    model.encoder_layers = model.decoder_layers = layers;
    model.width = width;
    model.feed_forward = feed_forward;
    model.heads = heads;
  };
  if (model.kind == ModelKind::recurrent) {
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

void check_dictionaries(const DataOptions& data, const Consistency& check) {
  check.require(data.train_source.empty() && data.train_tsv.empty() && data.valid_source.empty() &&
                    data.valid_tsv.empty(),
                "data.train_dictionary", "stands beside other text", "give one kind of data");
  check.require(data.valid_dictionary.empty() || data.valid_share == 0, "data.valid_share",
                "data.valid_share stands beside data.valid_dictionary", "give one of them");
}

void check_data(const Recipe& recipe, const Consistency& check) {
  const DataOptions& data = recipe.data;
  check.require(data.train_source.empty() == data.train_target.empty(),
                data.train_source.empty() ? "data.train_target" : "data.train_source",
                "data.train_source and data.train_target go together", "give both, or data.train_tsv");
  check.require(data.valid_source.empty() == data.valid_target.empty(),
                data.valid_source.empty() ? "data.valid_target" : "data.valid_source",
                "data.valid_source and data.valid_target go together", "give both, or data.valid_tsv");
  if (!data.train_dictionary.empty()) return check_dictionaries(data, check);
  check.require(
      data.train_source.empty() != data.train_tsv.empty(), "data.train_tsv",
      data.train_tsv.empty() ? "names no training text" : "data.train_tsv stands beside data.train_source",
      "give data.train_source and data.train_target, or data.train_tsv");
  check.require(data.valid_source.empty() || data.valid_tsv.empty(), "data.valid_tsv",
                "data.valid_tsv stands beside data.valid_source", "give one of them");
  check.require(data.valid_dictionary.empty() && data.valid_share == 0,
                data.valid_dictionary.empty() ? "data.valid_share" : "data.valid_dictionary",
                "is of words and their pronunciations", "give data.train_dictionary too, or leave it out");
  check.require(data.tsv_columns[0] != data.tsv_columns[1], "data.tsv_columns",
                "data.tsv_columns names the same column twice",
                "name those of source and target, such as [1, 2]");
}

void check_model(const Recipe& recipe, const Consistency& check) {
  const ModelOptions& model = recipe.model;
  const bool transformer = model.kind == ModelKind::transformer;
  for (const char* key :
       {"model.encoder_layers", "model.decoder_layers", "model.width", "model.feed_forward", "model.heads"})
    check.require(model.preset != ModelPreset::custom || check.has(key) ||
                      !find_key(recipe.task, key)->applies_to(model.kind),
                  "model.preset", std::string("model.preset custom needs ") + key, "add it");
  check.require(!transformer || (model.key_width && model.value_width) || model.width % model.heads == 0,
                "model.heads",
                "model.width " + std::to_string(model.width) + " is no multiple of model.heads " +
                    std::to_string(model.heads),
                "change one of them, or give model.key_width and model.value_width");
  check.require(!transformer || model.positions != PositionKind::sinusoidal || model.width % 2 == 0,
                "model.width", "sinusoidal positions need an even model.width",
                "or take positions = \"learned\"");
  check.require(recipe.tokenizer.joint || !model.tie_source_target, "model.tie_source_target",
                "separate vocabularies cannot share an embedding",
                "set model.tie_source_target = false, or tokenizer.joint = true");
  check.require(!recipe.tokenizer.joint || recipe.tokenizer.target_kind == TokenizerKind::as_source,
                "tokenizer.target_kind", "one vocabulary for both languages has one kind of pieces",
                "set tokenizer.joint = false, or leave it out");
}

void check_decoding(const Recipe& recipe, const Consistency& check) {
  const DecodingOptions& decoding = recipe.decoding;
  const models::GenerationDefaults none;
  check.require(decoding.beam % decoding.num_beam_groups == 0, "decoding.num_beam_groups",
                "decoding.num_beam_groups " + std::to_string(decoding.num_beam_groups) +
                    " does not divide decoding.beam " + std::to_string(decoding.beam),
                "change one of them");
  check.require(decoding.do_sample || decoding.nbest <= decoding.beam, "decoding.num_return_sequences",
                "decoding.num_return_sequences is more than decoding.beam, " + std::to_string(decoding.beam),
                "widen the beam, or set decoding.do_sample = true");
  check.require(decoding.max_length == 0 || decoding.min_length < decoding.max_length, "decoding.min_length",
                "decoding.min_length leaves no room below decoding.max_length", "lower it");
  const std::string remedy = "set decoding.do_sample = true, or leave it out";
  const auto only_drawn = [&](bool neutral, const char* key) {
    check.require(decoding.do_sample || neutral, key,
                  std::string(key) + " counts only where tokens are drawn", remedy);
  };
  only_drawn(decoding.temperature == none.temperature, "decoding.temperature");
  only_drawn(decoding.top_k == none.top_k, "decoding.top_k");
  only_drawn(decoding.top_p == none.top_p, "decoding.top_p");
  only_drawn(decoding.min_p == none.min_p, "decoding.min_p");
}

void check(const Recipe& recipe, const Consistency& consistency) {
  check_data(recipe, consistency);
  check_model(recipe, consistency);
  check_decoding(recipe, consistency);
}

bool validates(const Recipe& recipe) {
  const DataOptions& data = recipe.data;
  return !data.valid_source.empty() || !data.valid_tsv.empty() || !data.valid_dictionary.empty() ||
         data.valid_share > 0;
}

void name_files(Recipe& recipe) {
  recipe.data.train_source = "train.source";
  recipe.data.train_target = "train.target";
  recipe.data.valid_source = "valid.source";
  recipe.data.valid_target = "valid.target";
}

}  // namespace

RecipeTask translation_recipes() {
  return {.task = TaskKind::translation,
          .name = "translation",
          .kinds = {ModelKind::transformer, ModelKind::recurrent},
          .add_keys = add_keys,
          .set_defaults = [](Recipe&) {},
          .set_sizes = set_sizes,
          .validates = validates,
          .check = check,
          .name_files = name_files};
}

}  // namespace fovea::training
