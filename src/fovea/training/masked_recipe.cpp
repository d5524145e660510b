// What recipes for masked language models say.
#include <string>

#include "fovea/training/encoder_recipe.h"
#include "fovea/training/recipe_key_table.h"

namespace fovea::training {
namespace {

using Family = models::BertConfig::Family;
using O = MaskingOptions;

constexpr auto own = &Recipe::masking;

void add_keys(std::vector<Key>& keys) {
  add_text_data(keys);
  add_encoder_tokenizer(keys);
  add_encoder_model(keys, false);
  keys.push_back(in_section(
      "model",
      from_init(key<own, &O::family>("family", "whose names and layout the model has", {},
                                     {choice("bert", Family::bert), choice("distilbert", Family::distilbert),
                                      choice("roberta", Family::roberta)}))));
  keys.push_back(in_section(
      "training",
      key<own, &O::share>("mask_share", "share of tokens, or words, to be predicted", {0.01, 0.9})));
  keys.push_back(in_section(
      "training", key<own, &O::whole_words>("whole_words", "all pieces of a word are masked together")));
}

void set_defaults(Recipe& recipe) {
  set_encoder_defaults(recipe);
  recipe.classification.tokens = text::TokenizerTraining::Kind::word_piece;
  recipe.model.max_positions = 128;
  recipe.training.batch_tokens = 4096;
  recipe.training.warmup = 400;
  recipe.training.updates = 8000;
  recipe.training.weight_decay = 0.01;
  recipe.training.clip_norm = 1;
  recipe.training.validate_every = recipe.training.save_every = 500;
}

bool validates(const Recipe& recipe) { return !recipe.text.valid.empty() || recipe.text.valid_share > 0; }

void check(const Recipe& recipe, const Consistency& consistency) {
  check_text_data(recipe, consistency);
  check_encoder(recipe, consistency);
  consistency.require(recipe.lora.rank == 0, "lora.rank", "masked language models learn whole",
                      "leave [lora] out");
}

}  // namespace

RecipeTask masked_recipes() {
  return {.task = TaskKind::masked_language_model,
          .name = "masked_language_model",
          .prefix = "masked-",
          .kinds = {ModelKind::transformer},
          .add_keys = add_keys,
          .set_defaults = set_defaults,
          .set_sizes = set_encoder_sizes,
          .validates = validates,
          .check = check,
          .name_files = [](Recipe& recipe) {
            recipe.text.train = {"train.txt"};
            recipe.text.valid_share = 0.1;
          }};
}

}  // namespace fovea::training
