// Training language models from plain text: whole runs, cut and resumed.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "fovea/metrics/perplexity.h"
#include "fovea/models/language_folder.h"
#include "fovea/text/load_tokenizer.h"
#include "tests/training/tiny_run.h"

namespace fovea::training {
namespace {

using test::Path;

/// A text that can be learned: sentences of a grammar of two rules.
std::string tiny_text(int sentences, std::uint64_t seed) {
  static constexpr const char* subjects[] = {"the cat", "a dog", "my sister", "nobody"};
  static constexpr const char* verbs[] = {"sees", "likes", "forgets"};
  const auto key = RandomKey::of(seed, 0, site::shuffle);
  std::string text;
  for (int i = 0; i < sentences; ++i) {
    const auto at = static_cast<std::uint64_t>(3 * i);
    text += std::string(subjects[below(key, at, 4)]) + " " + verbs[below(key, at + 1, 3)] + " " +
            subjects[below(key, at + 2, 4)] + ".\n";
  }
  return text;
}

class LanguageRun : public testing::TestWithParam<ModelKind> {
 protected:
  LanguageRun() {
    test::write(folder_ / "text.txt", tiny_text(60, 1));
    recipe_ = preset_recipe(GetParam() == ModelKind::gpt2 ? "gpt2-tiny" : "llama-tiny");
    recipe_.name = "tiny";
    recipe_.text.train = {"text.txt"};
    recipe_.text.valid_share = 0.1;
    recipe_.model.preset = ModelPreset::custom;
    recipe_.model.layers = 2;
    recipe_.model.width = 16;
    recipe_.model.feed_forward = 32;
    recipe_.model.heads = 2;
    recipe_.model.max_positions = 24;
    if (GetParam() == ModelKind::llama) recipe_.model.kv_heads = 1;
    TrainingOptions& training = recipe_.training;
    training.updates = 24;
    training.batch_tokens = 96;
    training.rate = 0.01;
    training.warmup = 4;
    training.average_decay = 0.9;
    training.average_last = 2;
    training.validate_every = 5;
    training.save_every = 4;
    training.log_every = 3;
  }

  RunResult run(const std::string& name, bool resume = false, std::int64_t stop_after = 0) {
    std::atomic<bool> stop{false};
    Reporter reporter;
    reporter.note = [&](const std::string& note) { notes_.push_back(note); };
    reporter.updated = [&](const LogEntry& entry) { stop = entry.update == stop_after; };
    return run_training(recipe_,
                        {.data = folder_.path(),
                         .output = folder_ / name,
                         .resume = resume,
                         .allow_changed_data = false,
                         .threads = 1},
                        stop, reporter);
  }

  test::ScratchFolder folder_{test::memory_folder()};
  Recipe recipe_;
  std::vector<std::string> notes_;
};

TEST_P(LanguageRun, LeavesAModelThatPredictsTheTextItWasValidatedOn) {
  recipe_.training.updates = 60;
  const auto result = run("whole");
  ASSERT_TRUE(result.final.score);
  EXPECT_LT(result.final.score->loss, 2.2);  // guessing: ln 22 = 3.1
  EXPECT_TRUE(notes_.front().starts_with("1 document, ")) << notes_.front();

  const Path folder = folder_ / "whole";
  const auto model = models::load_language_model(folder);
  const auto tokenizer = text::load_tokenizer(folder);
  EXPECT_EQ(model->vocabulary().bos, 0);
  EXPECT_EQ(model->vocabulary().size, tokenizer->size());
  const std::string text = tiny_text(60, 1);
  const std::string end = text.substr(text.size() * 9 / 10);  // ASCII
  std::vector<std::int32_t> ids{0};
  for (const auto id : tokenizer->encode(end).ids) ids.push_back(id);
  const kernels::ExecutionOwner exec(1);
  const auto again = metrics::perplexity(*model, std::vector<std::vector<std::int32_t>>{ids},
                                         {.window = 24, .stride = 24}, exec.get());
  EXPECT_EQ(again.tokens, std::ssize(end));
  EXPECT_NEAR(again.per_token(), result.final.score->loss, 1e-6);

  const auto summary = nlohmann::json::parse(test::read(folder / "training.json"));
  EXPECT_EQ(summary["characters"], text.size() * 9 / 10);
  EXPECT_NEAR(summary["valid_nats_per_character"].get<double>(), again.per_token(), 1e-6);
  EXPECT_NEAR(summary["valid_perplexity"].get<double>(), again.perplexity(), 1e-4);
}

TEST_P(LanguageRun, G01_CutAndResumedItIsTheSameRunBitForBit) {
  run("whole");
  EXPECT_EQ(run("cut", false, 6).ending, Ending::stopped);
  EXPECT_EQ(run("cut", true, 17).ending, Ending::stopped);
  run("cut", true);
  test::expect_same_run(folder_ / "whole", folder_ / "cut");
  EXPECT_EQ(test::read(folder_ / "whole" / "tokenizer.json"), test::read(folder_ / "cut" / "tokenizer.json"));
}

TEST_P(LanguageRun, G08_ChangedTextIsRefused) {
  run("cut", false, 6);
  test::write(folder_ / "text.txt", tiny_text(61, 1));
  EXPECT_THROW(run("cut", true), Error);
}

TEST_P(LanguageRun, LinesAreTextsOfTheirOwn) {
  recipe_.text.documents = data::Documents::lines;
  recipe_.text_tokenizer.kind = text::LanguageTokenizerTraining::Kind::byte_pairs;
  recipe_.text_tokenizer.vocabulary = 300;
  const auto result = run("lines");
  EXPECT_TRUE(notes_.front().starts_with("54 documents, ")) << notes_.front();
  EXPECT_TRUE(std::isfinite(result.final.score->loss));
  const auto summary = nlohmann::json::parse(test::read(folder_ / "lines" / "training.json"));
  // Some characters a token.
  EXPECT_LT(2 * summary["valid_nats_per_character"].get<double>(), result.final.score->loss);
}

TEST_P(LanguageRun, BeginsFromAModelWithItsArchitectureAndTokenizer) {
  run("first");
  recipe_.init = folder_ / "first";
  recipe_.model.layers = 7;  // not asked: the model's are
  recipe_.training.rate = 0;
  recipe_.training.updates = 1;
  recipe_.training.average_decay = 0;
  recipe_.training.minimum_rate = 0;
  const auto result = run("second");
  EXPECT_EQ(test::read(folder_ / "first" / "config.json"), test::read(folder_ / "second" / "config.json"));
  EXPECT_EQ(test::read(folder_ / "first" / "tokenizer.json"),
            test::read(folder_ / "second" / "tokenizer.json"));
  const auto first = nlohmann::json::parse(test::read(folder_ / "first" / "training.json"));
  EXPECT_NEAR(result.final.score->loss, first["valid_loss"].get<double>(), 1e-6);
  recipe_.training.context = 25;  // it has 24 positions
  EXPECT_THROW(run("third"), Error);
}

INSTANTIATE_TEST_SUITE_P(Kinds, LanguageRun, testing::Values(ModelKind::gpt2, ModelKind::llama),
                         [](const auto& info) { return info.param == ModelKind::gpt2 ? "gpt2" : "llama"; });

}  // namespace
}  // namespace fovea::training
