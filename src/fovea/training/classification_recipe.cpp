// What recipes for classification say.
#include <algorithm>
#include <array>
#include <string>

#include "fovea/training/recipe_key_table.h"
#include "fovea/training/recipe_task.h"

namespace fovea::training {
namespace {

using kernels::Activation;
using O = ClassificationOptions;

constexpr auto own = &Recipe::classification;

Key in_section(std::string_view section, Key key) {
  key.section = section;
  return key;
}

void add_data(std::vector<Key>& keys) {
  constexpr auto section = &Recipe::data;
  constexpr Range column{1, 1000}, any_column{0, 1000};
  const auto add = [&](Key key) { keys.push_back(in_section("data", std::move(key))); };
  add(key<section, &DataOptions::train_tsv>(
      "train_tsv", "texts with their labels in tab-separated columns, plain or .gz"));
  add(key<section, &DataOptions::valid_tsv>("valid_tsv", "the same to validate on"));
  add(key<own, &O::valid_share>("valid_share", "or a share of the training texts, drawn once", {0, 0.9}));
  add(key<own, &O::text_column>("text_column", "column of the text, from 1", column));
  add(key<own, &O::second_column>("second_column", "of a second text; 0: there is none", any_column));
  add(key<own, &O::label_column>("label_column", "of the label", column));
  add(key<own, &O::header>("header", "the first line names the columns"));
  add(key<own, &O::labels>("labels", "names of the classes in the order of their labels; empty: the labels"));
}

void add_tokenizer(std::vector<Key>& keys) {
  using Kind = text::TokenizerTraining::Kind;
  const auto add = [&](Key key) { keys.push_back(in_section("tokenizer", std::move(key))); };
  add(key<own, &O::tokens>("kind", "what texts are cut into", {},
                           {choice("words", Kind::words), choice("characters", Kind::characters),
                            choice("word_piece", Kind::word_piece)}));
  add(key<&Recipe::tokenizer, &TokenizerOptions::vocabulary>("vocabulary", "tokens at most", {8, 1e6}));
  add(key<own, &O::lowercase>("lowercase", "capitals and accents do not count"));
  add(key<own, &O::least_count>("least_count", "what occurs less often is unknown", at_least_one));
}

void add_model(std::vector<Key>& keys) {
  constexpr auto section = &Recipe::model;
  using M = ModelOptions;
  const auto add = [&](Key key) { keys.push_back(in_section("model", std::move(key))); };
  const auto transformer = [](Key key) { return of_kinds({ModelKind::transformer}, std::move(key)); };
  add(key<section, &M::kind>(
      "kind", "a BERT, or a recurrent network", {},
      {choice("transformer", ModelKind::transformer), choice("recurrent", ModelKind::recurrent)}));
  add(key<section, &M::preset>("preset", "defaults of the keys below that are sizes", {}, preset_choices()));
  add(from_preset(key<section, &M::encoder_layers>(
      "layers", "layers; recurrent with 0: words are looked at as they are", {0, 1000})));
  add(from_preset(key<section, &M::width>("width", "width of the model, D", {1, 65536})));
  add(transformer(from_preset(
      key<section, &M::feed_forward>("feed_forward", "width of the feed-forward layers, F", {1, 1e6}))));
  add(transformer(from_preset(key<section, &M::heads>("heads", "attention heads, H", {1, 1024}))));
  add(transformer(
      key<section, &M::activation>("activation", "of the feed-forward layers", {},
                                   {choice("gelu", Activation::gelu), choice("relu", Activation::relu),
                                    choice("silu", Activation::silu)})));
  add(key<section, &M::max_positions>("max_positions", "longer texts are cut to so many tokens", {3, 1e6}));
  add(key<section, &M::dropout>("dropout", "on sublayers, or between recurrent layers and behind them",
                                probability));
  add(transformer(
      key<section, &M::attention_dropout>("attention_dropout", "on attention weights", probability)));
  add(of_kinds({ModelKind::recurrent},
               key<own, &O::embedding_dropout>("embedding_dropout", "on embeddings", probability)));
  add(key<own, &O::classifier_dropout>("classifier_dropout", "on what the last layer reads", probability));
  add(key<section, &M::weights>("weights", "type of the saved weights", {},
                                {choice("f32", WeightType::f32), choice("bf16", WeightType::bf16)}));
}

void add_recurrent(std::vector<Key>& keys) {
  constexpr auto section = &Recipe::recurrent;
  using R = RecurrentOptions;
  using Pooling = models::RecurrentClassifierConfig::Pooling;
  const auto add = [&](Key key) {
    keys.push_back(of_kinds({ModelKind::recurrent}, in_section("recurrent", std::move(key))));
  };
  add(key<section, &R::cell>("cell", "of the layers", {},
                             {choice("gru", nn::Recurrence::gru), choice("lstm", nn::Recurrence::lstm)}));
  add(key<section, &R::bidirectional>("bidirectional", "texts are read in both directions"));
  add(key<section, &R::embedding>("embedding", "width of embeddings; 0: model.width", {0, 65536}));
  add(key<own, &O::pooling>("pooling", "what becomes of the states of a text", {},
                            {choice("attention", Pooling::attention), choice("mean", Pooling::mean)}));
  add(key<section, &R::attention_width>("attention_width", "hidden width of its score; 0: model.width",
                                        {0, 65536}));
  add(key<section, &R::variational_dropout>("variational_dropout", "one mask for all steps, on states too"));
}

// Architecture and tokenizer.
bool is_of_model(const Key& key) {
  if (key.section == "tokenizer") return true;
  constexpr std::array<std::string_view, 7> names{"kind",         "preset", "layers",    "width",
                                                  "feed_forward", "heads",  "activation"};
  return key.section == "model" && std::ranges::count(names, key.name) > 0;
}

void add_keys(std::vector<Key>& keys) {
  for (const auto add : {add_data, add_tokenizer, add_model, add_recurrent}) add(keys);
  for (Key& key : keys) key.from_init = is_of_model(key);
  keys.push_back(in_section(
      "training",
      key<own, &O::word_dropout>("word_dropout", "share of words that are read as unknown", probability)));
}

void set_defaults(Recipe& recipe) {
  recipe.model.activation = Activation::gelu;
  recipe.training.label_smoothing = 0;
  recipe.training.optimizer = OptimiserKind::adamw;
  recipe.training.beta2 = 0.999;
  recipe.training.epsilon = 1e-8;
  recipe.training.batch_tokens = 1024;
  recipe.training.warmup = 100;
  recipe.training.schedule = ScheduleKind::linear;
  recipe.training.updates = 2000;
  recipe.training.validate_every = recipe.training.save_every = 100;
}

void set_sizes(ModelPreset preset, ModelOptions& model) {
  struct Sizes {
    std::int64_t layers, width, feed_forward, heads;
  };
  if (model.kind == ModelKind::recurrent) {
    model.encoder_layers = preset == ModelPreset::big ? 2 : 1;
    model.width = std::int64_t{64} << static_cast<int>(preset);
    return;
  }
  // Turc et al. 2019: BERT tiny, mini (here small), base and large.
  static constexpr Sizes sizes[] = {
      {2, 128, 512, 2}, {4, 256, 1024, 4}, {12, 768, 3072, 12}, {24, 1024, 4096, 16}};
  const Sizes& chosen = sizes[static_cast<int>(preset)];
  model.encoder_layers = chosen.layers;
  model.width = chosen.width;
  model.feed_forward = chosen.feed_forward;
  model.heads = chosen.heads;
}

bool validates(const Recipe& recipe) {
  return !recipe.data.valid_tsv.empty() || recipe.classification.valid_share > 0;
}

void check_data(const Recipe& recipe, const Consistency& check) {
  const O& options = recipe.classification;
  check.require(!recipe.data.train_tsv.empty(), "data.train_tsv", "data.train_tsv names no training text",
                "name a file of texts and labels");
  check.require(recipe.data.valid_tsv.empty() || options.valid_share == 0, "data.valid_share",
                "data.valid_share stands beside data.valid_tsv", "give one of them");
  check.require(options.text_column != options.label_column && options.text_column != options.second_column &&
                    options.label_column != options.second_column,
                "data.label_column", "texts and label are in the same column", "name one of each");
  check.require(options.labels.size() != 1, "data.labels", "data.labels names one class only",
                "name each, or none");
}

void check_model(const Recipe& recipe, const Consistency& check) {
  const ModelOptions& model = recipe.model;
  const bool transformer = model.kind == ModelKind::transformer;
  for (const char* key : {"model.layers", "model.width", "model.feed_forward", "model.heads"})
    check.require(model.preset != ModelPreset::custom || check.has(key) ||
                      !find_key(recipe.task, key)->applies_to(model.kind),
                  "model.preset", std::string("model.preset custom needs ") + key, "add it");
  check.require(!transformer || model.width % model.heads == 0, "model.heads",
                "model.width " + std::to_string(model.width) + " is no multiple of model.heads " +
                    std::to_string(model.heads),
                "change one of them");
  check.require(!transformer || model.encoder_layers > 0, "model.layers", "a BERT has layers",
                "set model.layers to 1 or more");
  if (recipe.init.empty()) return;
  for (const Key& key : recipe_keys(recipe.task))
    check.require(!key.from_init || !check.has(key.full_name()), key.full_name(),
                  key.full_name() + " is that of the model to begin with", "leave it out, or init");
}

void check(const Recipe& recipe, const Consistency& consistency) {
  check_data(recipe, consistency);
  check_model(recipe, consistency);
}

void name_files(Recipe& recipe) {
  recipe.data.train_tsv = "train.tsv";
  recipe.data.valid_tsv = "valid.tsv";
}

}  // namespace

RecipeTask classification_recipes() {
  return {.task = TaskKind::classification,
          .name = "classification",
          .prefix = "classify-",
          .kinds = {ModelKind::transformer, ModelKind::recurrent},
          .add_keys = add_keys,
          .set_defaults = set_defaults,
          .set_sizes = set_sizes,
          .validates = validates,
          .check = check,
          .name_files = name_files};
}

}  // namespace fovea::training
