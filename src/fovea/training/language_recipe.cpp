// What recipes for language models say.
#include <string>

#include "fovea/training/recipe_key_table.h"
#include "fovea/training/recipe_task.h"

namespace fovea::training {
namespace {

using data::Documents;
using kernels::Activation;
using Tokens = text::LanguageTokenizerTraining::Kind;

void add_tokenizer(std::vector<Key>& keys) {
  constexpr auto section = &Recipe::text_tokenizer;
  using O = TextTokenizerOptions;
  keys.push_back(
      key<section, &O::file>("file", "a ready tokenizer.json; empty: learn one from the training text"));
  keys.push_back(key<section, &O::kind>(
      "kind", "what a token is", {},
      {choice("characters", Tokens::characters), choice("byte_pairs", Tokens::byte_pairs)}));
  keys.push_back(key<section, &O::vocabulary>("vocabulary", "tokens, of byte pairs", {257, 1e6}));
  keys.push_back(key<section, &O::least_count>(
      "least_count", "of characters: those that occur less often are unknown", at_least_one));
}

void add_model(std::vector<Key>& keys) {
  constexpr auto section = &Recipe::model;
  using O = ModelOptions;
  constexpr Range layers{1, 1000}, width{1, 65536};
  const auto gpt2 = [](Key key) { return of_kinds({ModelKind::gpt2}, std::move(key)); };
  const auto llama = [](Key key) { return of_kinds({ModelKind::llama}, std::move(key)); };
  keys.push_back(
      key<section, &O::kind>("kind", "gpt2: learned positions; llama: rotary, gated, RMSNorm", {},
                             {choice("gpt2", ModelKind::gpt2), choice("llama", ModelKind::llama)}));
  keys.push_back(
      key<section, &O::preset>("preset", "defaults of the keys below that are sizes", {}, preset_choices()));
  keys.push_back(from_preset(key<section, &O::layers>("layers", "layers", layers)));
  keys.push_back(from_preset(key<section, &O::width>("width", "width of the model, D", width)));
  keys.push_back(from_preset(
      key<section, &O::feed_forward>("feed_forward", "width of the feed-forward layers, F", {1, 1e6})));
  keys.push_back(from_preset(key<section, &O::heads>("heads", "attention heads, H", {1, 1024})));
  keys.push_back(
      llama(key<section, &O::kv_heads>("kv_heads", "heads of keys and values; 0: as many", {0, 1024})));
  keys.push_back(gpt2(key<section, &O::activation>(
      "activation", "of the feed-forward layers", {},
      {choice("gelu_tanh", Activation::gelu_tanh), choice("gelu", Activation::gelu),
       choice("relu", Activation::relu), choice("silu", Activation::silu)})));
  keys.push_back(key<section, &O::max_positions>("max_positions", "tokens that a text may have", {2, 1e6}));
  keys.push_back(key<section, &O::tie_output>("tie_output", "the output layer shares the embedding"));
  keys.push_back(key<section, &O::dropout>("dropout", "on embeddings and sublayers", probability));
  keys.push_back(
      key<section, &O::attention_dropout>("attention_dropout", "on attention weights", probability));
  keys.push_back(
      key<section, &O::weights>("weights", "type of the saved weights", {},
                                {choice("f32", WeightType::f32), choice("bf16", WeightType::bf16)}));
}

void add_learning(std::vector<Key>& keys) {
  keys.push_back(key<&Recipe::training, &TrainingOptions::context>(
      "context", "most tokens of a piece learned from; 0: model.max_positions", {0, 1e6}));
}

void add_keys(std::vector<Key>& keys) {
  for (const auto add : {add_text_data, add_tokenizer, add_model, add_learning}) add(keys);
}

// As the families' papers have it: no smoothing, decay apart from the gradient, a slow memory of its square.
void set_defaults(Recipe& recipe) {
  recipe.model.activation = Activation::gelu_tanh;
  recipe.model.max_positions = 256;
  recipe.model.attention_dropout = recipe.model.dropout;
  TrainingOptions& training = recipe.training;
  training.label_smoothing = 0;
  training.optimizer = OptimiserKind::adamw;
  training.beta2 = 0.99;
  training.epsilon = 1e-8;
  training.weight_decay = 0.1;
  training.schedule = ScheduleKind::cosine;
  training.warmup = 100;
  training.clip_norm = 1;
}

void set_sizes(ModelPreset preset, ModelOptions& model) {
  const auto set = [&model](std::int64_t layers, std::int64_t width, std::int64_t heads) {
    model.layers = layers;
    model.width = width;
    model.heads = heads;
    // A gated layer has three matrices where the other has two: 2/3 of the width, in steps of 32.
    model.feed_forward = model.kind == ModelKind::llama ? (width * 8 / 3 + 31) / 32 * 32 : 4 * width;
  };
  switch (preset) {
    case ModelPreset::tiny:
      return set(4, 128, 4);
    case ModelPreset::small:
      return set(6, 384, 6);
    case ModelPreset::base:
      return set(12, 768, 12);
    case ModelPreset::big:
      return set(24, 1024, 16);
    case ModelPreset::custom:
      return;
  }
}

bool validates(const Recipe& recipe) { return !recipe.text.valid.empty() || recipe.text.valid_share > 0; }

void check(const Recipe& recipe, const Consistency& consistency) {
  const ModelOptions& model = recipe.model;
  check_text_data(recipe, consistency);
  for (const char* key : {"model.layers", "model.width", "model.feed_forward", "model.heads"})
    consistency.require(model.preset != ModelPreset::custom || consistency.has(key), "model.preset",
                        std::string("model.preset custom needs ") + key, "add it");
  consistency.require(model.width % model.heads == 0, "model.heads",
                      "model.width " + std::to_string(model.width) + " is no multiple of model.heads " +
                          std::to_string(model.heads),
                      "change one of them");
  consistency.require(model.kv_heads == 0 || model.heads % model.kv_heads == 0, "model.kv_heads",
                      "model.heads " + std::to_string(model.heads) + " is no multiple of model.kv_heads " +
                          std::to_string(model.kv_heads),
                      "change one of them");
  consistency.require(model.kind != ModelKind::llama || model.width / model.heads % 2 == 0, "model.heads",
                      "rotary positions need heads of an even width", "change model.width or model.heads");
  consistency.require(
      recipe.training.context <= model.max_positions, "training.context",
      "training.context is beyond model.max_positions, " + std::to_string(model.max_positions), "lower it");
}

}  // namespace

void add_text_data(std::vector<Key>& keys) {
  constexpr auto section = &Recipe::text;
  using O = TextOptions;
  keys.push_back(key<section, &O::train>("train", "training text: files, plain or .gz"));
  keys.push_back(key<section, &O::valid>("valid", "text to validate on; empty: as valid_share says"));
  keys.push_back(key<section, &O::valid_share>(
      "valid_share", "share of the training text, its end, to validate on instead", probability));
  keys.push_back(key<section, &O::documents>(
      "documents", "what of a file is one text, read without the others", {},
      {choice("file", Documents::file), choice("paragraphs", Documents::paragraphs),
       choice("lines", Documents::lines)}));
  keys.push_back(key<section, &O::column>(
      "column", "of lines: the part between tabs that counts, from 1; 0: all", {0, 1000}));
}

void check_text_data(const Recipe& recipe, const Consistency& consistency) {
  const TextOptions& text = recipe.text;
  consistency.require(!text.train.empty(), "data.train", "names no training text", "give data.train");
  consistency.require(text.valid.empty() || text.valid_share == 0, "data.valid_share",
                      "data.valid_share stands beside data.valid", "give one of them");
  consistency.require(text.column == 0 || text.documents == Documents::lines, "data.column",
                      "data.column is of lines", "set data.documents = \"lines\", or leave it out");
}

RecipeTask language_recipes() {
  return {.task = TaskKind::language_model,
          .name = "language_model",
          .kinds = {ModelKind::gpt2, ModelKind::llama},
          .add_keys = add_keys,
          .set_defaults = set_defaults,
          .set_sizes = set_sizes,
          .validates = validates,
          .check = check,
          .name_files = [](Recipe& recipe) {
            recipe.text.train = {"train.txt"};
            recipe.text.valid_share = 0.1;
          }};
}

}  // namespace fovea::training
