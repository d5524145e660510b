#include "fovea/training/run.h"

#include <gtest/gtest.h>

#include "fovea/models/marian.h"
#include "fovea/training/log.h"
#include "fovea/training/model_config.h"
#include "tests/training/tiny_run.h"

namespace fovea::training::test {
namespace {

#define EXPECT_CONTAINS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

std::string refusal(Error::Kind kind, const TinyData& data, const Recipe& recipe) {
  const auto message = message_of(kind, [&] { run(data, recipe, "run"); });
  EXPECT_FALSE(std::filesystem::exists(data / "run")) << "left behind by: " << message;
  return message;
}

TEST(Run, TheFolderHoldsAWholeModelAndItsHistory) {
  TinyData data;
  const auto result = run(data, "run");
  EXPECT_EQ(result.ending, Ending::updates);
  for (const char* name :
       {"config.json", "generation_config.json", "model.safetensors", "source.spm", "target.spm",
        "vocab.json", "recipe.toml", "log.jsonl", "learning_curve.svg", "training.json"})
    EXPECT_TRUE(std::filesystem::is_regular_file(data / "run" / name)) << name;
  EXPECT_NO_THROW(models::load_transformer(data / "run"));
  const auto points = read_log(data / "run/log.jsonl", &bleu_metric);
  EXPECT_EQ(points.size(), 8u + 5u);  // every 3 of 24 updates; validations at 5, 10, 15, 20, 24
  const Recipe kept = read_recipe((data / "run/recipe.toml").string());
  EXPECT_NO_THROW(check_resumable(kept, data.recipe));
  const std::string svg = read(data / "run/learning_curve.svg");
  EXPECT_TRUE(svg.starts_with("<svg") || svg.starts_with("<?xml"));
}

TEST(Run, TheModelCarriesHowTheRecipeTranslates) {
  TinyData data;
  auto& decoding = data.recipe.decoding;
  decoding.beam = 4;
  decoding.num_beam_groups = 2;
  decoding.no_repeat_ngram_size = 3;
  decoding.max_length = 40;
  decoding.early_stopping = models::EarlyStopping::never;
  decoding.suppress_tokens = {7};
  run(data, "run");
  EXPECT_EQ(models::read_generation_defaults(data / "run"), decoding);
  decoding.suppress_tokens = {1'000'000};
  const auto message = message_of(Error::Kind::usage, [&] { run(data, "other"); });
  EXPECT_NE(message.find("recipe: decoding.suppress_tokens: 1000000 is not among the "), std::string::npos)
      << message;
}

/// Words whose letters are their sounds, some with a second way to say them.
std::string small_dictionary() {
  std::string text;
  for (int i = 0; i < 120; ++i) {
    std::string word, sounds;
    for (int rest = i * 7 + 30; rest > 0; rest /= 5) {
      word.push_back(static_cast<char>('a' + rest % 5));
      sounds += std::string(" S") + static_cast<char>('A' + rest % 5);
    }
    text += word + sounds + "1\n";
    if (i % 4 == 0) text += word + "(2)" + sounds + "0\n" + word + "(3) SE" + sounds + "\n";
  }
  return text;
}

TEST(Run, LearnsToPronounceTheWordsOfADictionary) {
  TinyData data;
  write(data / "words.dict", small_dictionary());
  Recipe& recipe = data.recipe;
  recipe.data = {};
  recipe.data.train_dictionary = "words.dict";
  recipe.data.valid_share = 0.2;
  recipe.tokenizer = {};
  recipe.tokenizer.kind = TokenizerKind::characters;
  recipe.tokenizer.target_kind = TokenizerKind::words;
  recipe.tokenizer.joint = recipe.tokenizer.byte_fallback = recipe.model.tie_source_target = false;
  recipe.tokenizer.character_coverage = 1.0;
  recipe.training.validate_metric = ValidMetric::error_rate;
  const auto result = run(data, "run");
  ASSERT_TRUE(result.final.score);
  EXPECT_FALSE(result.final.score->of(bleu_metric));
  EXPECT_GT(*result.final.score->of(sequence_error_metric), 0.0);
  EXPECT_LE(*result.final.score->of(sequence_error_metric), 1.0);
  EXPECT_GT(*result.final.score->of(symbol_error_metric), 0.0);
  EXPECT_CONTAINS(read(data / "run/learning_curve.svg"), ">wrong sequences, %</text>");
  EXPECT_CONTAINS(read(data / "run/log.jsonl"), "\"sequence_error_rate\":");
  const auto tokenizer = text::TranslationTokenizer::read(data / "run");
  EXPECT_EQ(tokenizer.source_vocabulary().size(), 3 + 5);
  EXPECT_EQ(tokenizer.target_vocabulary().size(), 3 + 5);
  EXPECT_EQ(tokenizer.encode_source("dab").size(), 4u);
  const auto target = tokenizer.encode_target("SE SA");
  EXPECT_EQ(target.size(), 3u);
  EXPECT_EQ(tokenizer.decode_target(target), "SE SA");
}

TEST(Run, SummariesAreJudgedByRouge) {
  TinyData data;
  data.recipe.training.validate_metric = ValidMetric::rouge;
  const auto result = run(data, "run");
  ASSERT_TRUE(result.final.score);
  EXPECT_EQ(result.final.score->metrics.size(), 3u);
  EXPECT_EQ(result.final.score->score(), result.final.score->of(rougeL_metric));
  for (const char* part : {"\"rouge1\":", "\"rouge2\":", "\"rougeL\":"})
    EXPECT_CONTAINS(read(data / "run/log.jsonl"), part);
  EXPECT_CONTAINS(read(data / "run/training.json"), "\"valid_rougeL\":");
  EXPECT_CONTAINS(read(data / "run/learning_curve.svg"), ">validation ROUGE-L</text>");
}

TEST(Run, TrainsWithoutValidationData) {
  TinyData data;
  data.recipe.data.valid_source = data.recipe.data.valid_target = "";
  data.recipe.training.average_last = 3;
  const auto result = run(data, "run");
  EXPECT_EQ(result.final.name, "average of 3 checkpoints");
  EXPECT_FALSE(result.final.score);
  EXPECT_NO_THROW(models::load_transformer(data / "run"));
}

Tensor weights_of(const Path& folder) {
  return models::load_transformer(folder)->parameters().values().clone();
}

TEST(Run, WithoutValidationTheLastWeightsAreLeftIfNothingIsAveraged) {
  TinyData data;
  data.recipe.data.valid_source = data.recipe.data.valid_target = "";
  EXPECT_EQ(run(data, "run").final.name, "update 24");
  EXPECT_TRUE(read(data / "run/model.safetensors").size() > 1000);
  const auto left = models::load_transformer(data / "run");
  models::Transformer last(left->config());
  models::read_weights(formats::Weights::open(newest_checkpoint(data / "run")), last);
  EXPECT_TRUE(std::ranges::equal(left->parameters().values().values(), last.parameters().values().values()));
}

TEST(Run, TheMeanOfTheLastRegularCheckpointsIsTheirMean) {
  TinyData data;
  data.recipe.data.valid_source = data.recipe.data.valid_target = "";
  data.recipe.training.updates = 22;  // the newest, 22, is none of the regular ones
  data.recipe.training.average_last = 3;
  data.recipe.training.keep_last = 1;
  run(data, "run");
  std::vector<std::uint64_t> steps;
  for (const auto& checkpoint : formats::find_checkpoints(data / "run/checkpoints"))
    steps.push_back(checkpoint.step);
  EXPECT_EQ(steps, (std::vector<std::uint64_t>{22, 20, 16, 12}));  // pruning leaves what the average needs
  const auto left = models::load_transformer(data / "run");
  std::vector<Tensor> parts;
  for (const char* name : {"checkpoint-000020", "checkpoint-000016", "checkpoint-000012"}) {
    models::Transformer part(left->config());
    models::read_weights(formats::Weights::open(data / "run/checkpoints" / name), part);
    parts.push_back(part.parameters().values().clone());
  }
  const auto mean = left->parameters().values().values();
  for (std::size_t i = 0; i < mean.size(); ++i)
    ASSERT_NEAR(mean[i], (parts[0].values()[i] + parts[1].values()[i] + parts[2].values()[i]) / 3.0, 1e-6);
}

TEST(Run, TheFinalChoiceIsTheBestCandidateOnTheValidationData) {
  TinyData data;
  TrainingOptions& training = data.recipe.training;
  training.average_last = 4;
  training.average_decay = 0.99;
  training.validate_bleu = false;
  training.rate = 0.02;
  const auto result = run(data, "run");
  ASSERT_TRUE(result.final.score);
  const auto summary = formats::read_json(data / "run/training.json", Error::Kind::model);
  EXPECT_EQ(summary.at("weights").text(), result.final.name);
  EXPECT_EQ(summary.at("valid_loss").number(), result.final.score->loss);
  EXPECT_LE(result.final.score->loss, result.state.best_loss);  // the best single weights are a candidate
}

TEST(Run, WeightsMayBeStoredAsBf16) {
  TinyData data;
  data.recipe.model.weights = WeightType::bf16;
  run(data, "run");
  const auto weights = formats::Weights::open(data / "run");
  EXPECT_EQ(weights.info(weights.names().front()).type, formats::StoredType::bf16);
  EXPECT_NO_THROW(models::load_transformer(data / "run"));
  const auto exact = formats::Weights::open(newest_checkpoint(data / "run"));  // a checkpoint rounds nothing
  EXPECT_EQ(exact.info(exact.names().front()).type, formats::StoredType::f32);
}

TEST(Run, InitContinuesFromAModelAndTakesItsTokenizer) {
  TinyData data;
  run(data, "first");
  Recipe second = data.recipe;
  second.init = data / "first";
  second.tokenizer.model = "";  // none is trained
  second.training.rate = 0;     // so that the weights at the end are those of the beginning
  second.data.valid_source = second.data.valid_target = "";
  run(data, second, "second");
  EXPECT_TRUE(read(data / "first/source.spm") == read(data / "second/source.spm"));
  EXPECT_TRUE(std::ranges::equal(weights_of(data / "first").values(), weights_of(data / "second").values()));
}

TEST(Run, AnInitOfAnotherShapeIsRefused) {
  TinyData data;
  run(data, "first");
  Recipe second = data.recipe;
  second.init = data / "first";
  second.model.feed_forward = 64;
  EXPECT_CONTAINS(refusal(Error::Kind::model, data, second), "shape is");
  second.init = data / "nowhere";
  EXPECT_CONTAINS(refusal(Error::Kind::model, data, second), "nowhere");
}

TEST(Run, AResumedRunNeedsItsInitNoMore) {
  TinyData data;
  run(data, "first");
  data.recipe.init = data / "first";
  run(data, "second", {.stop_after = 3});
  std::filesystem::remove_all(data / "first");
  EXPECT_EQ(run(data, "second", {.resume = true}).state.update, 24);
}

TEST(Run, I01_MissingAndEmptyTextIsOneErrorAndLeavesNothing) {
  TinyData data;
  Recipe recipe = data.recipe;
  recipe.data.train_source = "nowhere";
  EXPECT_CONTAINS(refusal(Error::Kind::data, data, recipe), "nowhere");
  write(data / "empty", "");
  recipe.data.train_source = recipe.data.train_target = "empty";
  EXPECT_CONTAINS(refusal(Error::Kind::data, data, recipe), "empty");
  recipe = data.recipe;
  recipe.data.valid_target = "nowhere";
  EXPECT_CONTAINS(refusal(Error::Kind::data, data, recipe), "nowhere");
  recipe = data.recipe;
  recipe.data.train_source = recipe.data.train_target = "";
  EXPECT_CONTAINS(refusal(Error::Kind::usage, data, recipe), "names no training text");
}

TEST(Run, I08_SwappedFilesAreWarnedOf) {
  TinyData data;
  std::vector<std::string> notes;
  std::filesystem::copy(data / "train.source", data / "t.aa");
  std::filesystem::copy(data / "train.target", data / "t.bb");
  data.recipe.data.train_source = "t.bb";
  data.recipe.data.train_target = "t.aa";
  data.recipe.training.updates = 1;
  run(data, "run", {}, &notes);
  EXPECT_TRUE(std::ranges::any_of(
      notes, [](const std::string& note) { return note.find("look swapped") != std::string::npos; }));
}

TEST(Run, I07_LineCountsThatDifferNameBoth) {
  TinyData data;
  for (const int more : {1, 1000}) {
    Pairs::reversed(80 + more, 1).save(data.path(), "longer");
    Recipe recipe = data.recipe;
    recipe.data.train_target = "longer.target";
    const auto message = refusal(Error::Kind::data, data, recipe);
    EXPECT_CONTAINS(message, "80");
    EXPECT_CONTAINS(message, std::to_string(80 + more));
  }
}

TEST(Run, I11_AllPairsTooLongIsAnError) {
  TinyData data;
  data.recipe.data.max_tokens = 3;
  Pairs pairs;
  for (int i = 0; i < 10; ++i) pairs.source += "ba do fi gu\n", pairs.target += "gu fi do ba\n";
  pairs.save(data.path(), "train");
  EXPECT_CONTAINS(refusal(Error::Kind::data, data, data.recipe), "training data");
}

TEST(Run, I12_AVocabularyLargerThanTheDataSaysHowLargeItMayBe) {
  TinyData data;
  data.recipe.tokenizer.model = "";
  data.recipe.tokenizer.vocabulary = 5000;
  EXPECT_CONTAINS(refusal(Error::Kind::data, data, data.recipe), "5000");
}

TEST(Run, I12_OneSentenceIsDataToo) {
  TinyData data;
  Pairs{"ba do fi\n", "fi do ba\n"}.save(data.path(), "train");
  const auto result = run(data, "run");
  EXPECT_EQ(result.state.update, 24);
  EXPECT_EQ(result.state.position.epoch, 24);
}

TEST(Run, F06_AFolderThatCannotBeMadeIsOneError) {
  TinyData data;
  write(data / "file", "");
  EXPECT_CONTAINS(message_of(Error::Kind::machine, [&] { run(data, "file/run"); }), "file/run");
}

TEST(Run, H05_ADivergedRunKeepsItsBestModelAndCheckpoint) {
  TinyData data;
  run(data, "run", {.stop_after = 10});
  const std::string best = read(data / "run/model.safetensors");
  Recipe wild = data.recipe;
  wild.training.rate = 1e3;
  wild.training.updates = 500;
  wild.training.validate_every = 1000;
  message_of(Error::Kind::diverged, [&] { run(data, wild, "run", {.resume = true}); });
  EXPECT_TRUE(read(data / "run/model.safetensors") == best);
  for (const auto& checkpoint : formats::find_checkpoints(data / "run/checkpoints")) {
    models::Transformer model(models::load_transformer(data / "run")->config());
    models::read_weights(formats::Weights::open(checkpoint.folder), model);
    for (const float w : model.parameters().values().values()) ASSERT_TRUE(std::isfinite(w));
  }
}

TEST(Plan, SaysWhatARunWouldCostAndWritesNothing) {
  TinyData data;
  const auto before = std::distance(std::filesystem::recursive_directory_iterator(data.path()), {});
  const RunPlan plan =
      plan_training(data.recipe, {.data = data.path(), .output = data / "run", .threads = 1}, {});
  EXPECT_EQ(std::distance(std::filesystem::recursive_directory_iterator(data.path()), {}), before);
  EXPECT_EQ(plan.amount.count, 80);
  EXPECT_GT(plan.amount.batches, 5);
  EXPECT_TRUE(plan.amount.tokens.ends_with(" target tokens")) << plan.amount.tokens;
  run(data, "run");
  const auto model = models::load_transformer(data / "run");
  EXPECT_EQ(plan.parameters, model->parameters().count());
  EXPECT_GT(plan.megabytes,
            4 * 4e-6 * static_cast<double>(plan.parameters));  // weights, gradient and two moments
  EXPECT_LT(plan.megabytes, 1000);
  EXPECT_GT(plan.seconds_per_update, 0);
  EXPECT_NEAR(plan.seconds, 24 * plan.seconds_per_update, 1e-9);
  data.recipe.training.updates = 0;
  data.recipe.training.epochs = 3;
  const RunPlan epochs = plan_training(data.recipe, {.data = data.path(), .threads = 1}, {});
  EXPECT_NEAR(epochs.seconds, 3.0 * static_cast<double>(plan.amount.batches) * epochs.seconds_per_update,
              1e-9);
}

TEST(Log, IsCutBackToWhatTheStateKnows) {
  const ScratchFolder folder;
  const Path path = folder / "log.jsonl";
  write(path,
        "{\"update\":1,\"loss\":2}\n{\"update\":2,\"loss\":2}\n{\"update\":2,\"valid_loss\":3}\n{\"update\":"
        "3,\"loss\":1}\nno line\n"
        "{\"update\":\"x\"}\n{\"upd");
  TrainingState state;
  state.update = 2;
  state.window.updates = 1;  // the line of update 2 came at the end of a run with a lower limit
  Log(path, state).write(4, {1.5}, true);
  EXPECT_EQ(read(path), "{\"update\":1,\"loss\":2}\n{\"update\":4,\"valid_loss\":1.5,\"best\":true}\n");
}

TEST(Log, H07_APerplexityBeyondAllNumbersIsLeftOut) {
  const ScratchFolder folder;
  Log(folder / "log.jsonl", {}).write({.update = 1, .loss = 2000, .perplexity = INFINITY});
  EXPECT_EQ(read(folder / "log.jsonl").find("perplexity"), std::string::npos);
  EXPECT_EQ(read_log(folder / "log.jsonl", nullptr).size(), 1u);
}

}  // namespace
}  // namespace fovea::training::test
