#include "fovea/training/encoder_recipe.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "fovea/training/recipe_key_table.h"

namespace fovea::training {
namespace {

using kernels::Activation;
using O = ClassificationOptions;

constexpr auto own = &Recipe::classification;

// Of [model] what makes an architecture.
bool is_of_architecture(std::string_view name) {
  constexpr std::array<std::string_view, 7> names{"kind",         "preset", "layers",    "width",
                                                  "feed_forward", "heads",  "activation"};
  return std::ranges::count(names, name) > 0;
}

}  // namespace

void add_encoder_tokenizer(std::vector<Key>& keys) {
  using Kind = text::TokenizerTraining::Kind;
  const auto add = [&](Key key) { keys.push_back(in_section("tokenizer", from_init(std::move(key)))); };
  add(key<own, &O::tokens>("kind", "what texts are cut into", {},
                           {choice("words", Kind::words), choice("characters", Kind::characters),
                            choice("word_piece", Kind::word_piece)}));
  add(key<&Recipe::tokenizer, &TokenizerOptions::vocabulary>("vocabulary", "tokens at most", {8, 1e6}));
  add(key<own, &O::lowercase>("lowercase", "capitals and accents do not count"));
  add(key<own, &O::least_count>("least_count", "what occurs less often is unknown", at_least_one));
}

void add_encoder_model(std::vector<Key>& keys, bool or_recurrent) {
  constexpr auto section = &Recipe::model;
  using M = ModelOptions;
  const auto add = [&](Key key) {
    key.from_init = is_of_architecture(key.name);
    keys.push_back(in_section("model", std::move(key)));
  };
  const auto transformer = [](Key key) { return of_kinds({ModelKind::transformer}, std::move(key)); };
  std::vector<Choice> kinds{choice("transformer", ModelKind::transformer)};
  if (or_recurrent) kinds.push_back(choice("recurrent", ModelKind::recurrent));
  add(key<section, &M::kind>("kind", or_recurrent ? "a BERT, or a recurrent network" : "a BERT", {}, kinds));
  add(key<section, &M::preset>("preset", "defaults of the keys below that are sizes", {}, preset_choices()));
  add(from_preset(key<section, &M::encoder_layers>(
      "layers", or_recurrent ? "layers; recurrent with 0: words are looked at as they are" : "layers",
      {0, 1000})));
  add(from_preset(key<section, &M::width>("width", "width of the model, D", {1, 65536})));
  add(transformer(from_preset(
      key<section, &M::feed_forward>("feed_forward", "width of the feed-forward layers, F", {1, 1e6}))));
  add(transformer(from_preset(key<section, &M::heads>("heads", "attention heads, H", {1, 1024}))));
  add(transformer(
      key<section, &M::activation>("activation", "of the feed-forward layers", {},
                                   {choice("gelu", Activation::gelu), choice("relu", Activation::relu),
                                    choice("silu", Activation::silu)})));
  add(key<section, &M::max_positions>("max_positions", "longer texts are cut to so many tokens", {3, 1e6}));
  add(key<section, &M::dropout>(
      "dropout", or_recurrent ? "on sublayers, or between recurrent layers and behind them" : "on sublayers",
      probability));
  add(transformer(
      key<section, &M::attention_dropout>("attention_dropout", "on attention weights", probability)));
  if (or_recurrent)
    add(of_kinds({ModelKind::recurrent},
                 key<own, &O::embedding_dropout>("embedding_dropout", "on embeddings", probability)));
  add(key<own, &O::classifier_dropout>("classifier_dropout", "on what the last layer reads", probability));
  add(key<section, &M::weights>("weights", "type of the saved weights", {},
                                {choice("f32", WeightType::f32), choice("bf16", WeightType::bf16)}));
}

void set_encoder_defaults(Recipe& recipe) {
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

void set_encoder_sizes(ModelPreset preset, ModelOptions& model) {
  struct Sizes {
    std::int64_t layers, width, feed_forward, heads;
  };
  // Turc et al. 2019: BERT tiny, mini (here small), base and large.
  static constexpr Sizes sizes[] = {
      {2, 128, 512, 2}, {4, 256, 1024, 4}, {12, 768, 3072, 12}, {24, 1024, 4096, 16}};
  const Sizes& chosen = sizes[static_cast<int>(preset)];
  model.encoder_layers = chosen.layers;
  model.width = chosen.width;
  model.feed_forward = chosen.feed_forward;
  model.heads = chosen.heads;
}

void check_encoder(const Recipe& recipe, const Consistency& check) {
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

}  // namespace fovea::training
