// What recipes for classification say.
#include <string>

#include "fovea/training/encoder_recipe.h"
#include "fovea/training/recipe_key_table.h"
#include "fovea/training/recipe_task.h"

namespace fovea::training {
namespace {

using O = ClassificationOptions;

constexpr auto own = &Recipe::classification;

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

void add_keys(std::vector<Key>& keys) {
  add_data(keys);
  add_encoder_tokenizer(keys);
  add_encoder_model(keys, true);
  add_recurrent(keys);
  keys.push_back(in_section(
      "training",
      key<own, &O::word_dropout>("word_dropout", "share of words that are read as unknown", probability)));
}

void set_sizes(ModelPreset preset, ModelOptions& model) {
  if (model.kind != ModelKind::recurrent) return set_encoder_sizes(preset, model);
  model.encoder_layers = preset == ModelPreset::big ? 2 : 1;
  model.width = std::int64_t{64} << static_cast<int>(preset);
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

void check(const Recipe& recipe, const Consistency& consistency) {
  check_data(recipe, consistency);
  check_encoder(recipe, consistency);
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
          .set_defaults = set_encoder_defaults,
          .set_sizes = set_sizes,
          .validates = validates,
          .check = check,
          .name_files = name_files};
}

}  // namespace fovea::training
