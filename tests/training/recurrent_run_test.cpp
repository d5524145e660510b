// Training recurrent models: what their options ask of a run, and what of them a recipe refuses.
#include <gtest/gtest.h>

#include "fovea/models/recurrent.h"
#include "fovea/models/translation_folder.h"
#include "fovea/training/model_config.h"
#include "tests/decoding/small_model.h"
#include "tests/training/tiny_run.h"

namespace fovea::training::test {
namespace {

Recipe recurrent(Recipe recipe) {
  recipe.model.kind = ModelKind::recurrent;
  recipe.model.feed_forward = ModelOptions{}.feed_forward;  // a Transformer's
  recipe.model.heads = ModelOptions{}.heads;
  recipe.model.activation_dropout = 0;
  recipe.recurrent.copy = true;
  recipe.recurrent.order = models::RecurrentConfig::Order::luong;
  recipe.training.scheduled_sampling = 0.5;
  recipe.training.scheduled_sampling_warmup = 12;
  return recipe;
}

models::RecurrentConfig config_of(const Path& folder) {
  const auto model = models::load_translation_model(folder);
  return dynamic_cast<const models::RecurrentModel&>(*model).config();
}

TEST(RecurrentRun, G01_AfterAStopTheSameTokensAreDrawn) {
  TinyData data;
  data.recipe = recurrent(data.recipe);
  data.recipe.decoding.coverage_penalty = 0.2;
  data.recipe.decoding.replace_unknown = true;
  run(data, "whole");
  run(data, "parts", {.stop_after = 7});
  run(data, "parts", {.resume = true});
  expect_same_run(data / "whole", data / "parts");
  EXPECT_TRUE(config_of(data / "whole").copy);

  data.recipe.training.scheduled_sampling = 0;
  run(data, "given");
  EXPECT_FALSE(read(data / "given/model.safetensors") == read(data / "whole/model.safetensors"))
      << "no token was drawn";
}

std::string refusal_of(const Recipe& recipe,
                       const text::TranslationTokenizer& tokenizer = fovea::test::small_tokenizer()) {
  return message_of(Error::Kind::usage, [&] { model_config(recipe, tokenizer); });
}

TEST(RecurrentRun, CopyingNeedsAttentionAndOneVocabulary) {
  Recipe recipe = recurrent({});
  EXPECT_NO_THROW(model_config(recipe, fovea::test::small_tokenizer()));
  const text::TranslationTokenizer two(fovea::test::small_pieces(400, 1), fovea::test::small_pieces(400, 2),
                                       {});
  const auto apart = refusal_of(recipe, two);
  EXPECT_NE(apart.find("recipe: recurrent.copy: needs one vocabulary"), std::string::npos) << apart;
  EXPECT_NE(apart.find("tokenizer.joint = true"), std::string::npos) << apart;
  recipe.recurrent.attention = "none";
  const auto blind = refusal_of(recipe);
  EXPECT_NE(blind.find("copying needs attention"), std::string::npos) << blind;
}

TEST(RecurrentRun, WithoutAttentionDecodingCannotAskWhereItLooked) {
  Recipe recipe = recurrent({});
  recipe.recurrent.copy = false;
  recipe.recurrent.attention = "none";
  EXPECT_NO_THROW(model_config(recipe, fovea::test::small_tokenizer()));
  Recipe covering = recipe, replacing = recipe;
  covering.decoding.coverage_penalty = 0.2;
  replacing.decoding.replace_unknown = true;
  EXPECT_NE(refusal_of(covering).find("recipe: decoding.coverage_penalty: asks where the model looks"),
            std::string::npos);
  EXPECT_NE(refusal_of(replacing).find("recipe: decoding.replace_unknown: asks where the model looks"),
            std::string::npos);
}

}  // namespace
}  // namespace fovea::training::test
