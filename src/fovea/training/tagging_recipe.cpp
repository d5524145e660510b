// What recipes for token classification say.
#include <string>

#include "fovea/training/encoder_recipe.h"
#include "fovea/training/recipe_key_table.h"

namespace fovea::training {
namespace {

constexpr auto own = &Recipe::tagging;
using O = TaggingOptions;

void add_keys(std::vector<Key>& keys) {
  keys.push_back(key<own, &O::train>(
      "train", "words with a label each: CoNLL columns, or JSON lines (.json, .jsonl); plain or .gz"));
  keys.push_back(key<own, &O::valid>("valid", "the same to validate on"));
  keys.push_back(
      key<own, &O::valid_share>("valid_share", "or a share of the training sentences, drawn once", {0, 0.9}));
  keys.push_back(key<own, &O::word_column>("word_column", "column of the word, from 1", {1, 1000}));
  keys.push_back(key<own, &O::label_column>("label_column", "of the label; 0: the last", {0, 1000}));
  keys.push_back(key<own, &O::labels>(
      "labels", "names of the labels, where the data has their numbers from 0; empty: the labels"));
  add_encoder_tokenizer(keys);
  add_encoder_model(keys, false);
}

// Capitals tell names, and rare words are cut so that something of them is known.
void set_defaults(Recipe& recipe) {
  set_encoder_defaults(recipe);
  recipe.classification.tokens = text::TokenizerTraining::Kind::word_piece;
  recipe.classification.lowercase = false;
}

bool validates(const Recipe& recipe) {
  return !recipe.tagging.valid.empty() || recipe.tagging.valid_share > 0;
}

void check(const Recipe& recipe, const Consistency& consistency) {
  const O& options = recipe.tagging;
  consistency.require(!options.train.empty(), "data.train", "data.train names no training text",
                      "name a file of words and labels");
  consistency.require(options.valid.empty() || options.valid_share == 0, "data.valid_share",
                      "data.valid_share stands beside data.valid", "give one of them");
  consistency.require(options.word_column != options.label_column, "data.label_column",
                      "word and label are in the same column", "name one of each");
  consistency.require(options.labels.size() != 1, "data.labels", "data.labels names one label only",
                      "name each, or none");
  check_encoder(recipe, consistency);
}

}  // namespace

RecipeTask tagging_recipes() {
  return {.task = TaskKind::token_classification,
          .name = "token_classification",
          .prefix = "tag-",
          .kinds = {ModelKind::transformer},
          .add_keys = add_keys,
          .set_defaults = set_defaults,
          .set_sizes = set_encoder_sizes,
          .validates = validates,
          .check = check,
          .name_files = [](Recipe& recipe) {
            recipe.tagging.train = "train.conll";
            recipe.tagging.valid = "valid.conll";
          }};
}

}  // namespace fovea::training
