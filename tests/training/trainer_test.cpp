#include "fovea/training/trainer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <limits>

#include "fovea/formats/hash.h"
#include "fovea/training/corpus.h"
#include "fovea/training/model_config.h"
#include "fovea/training/translation_learner.h"
#include "tests/training/tiny_run.h"

namespace fovea::training::test {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

/// The training loop on tiny data, with nothing written to disk.
class TinyTrainer {
 public:
  explicit TinyTrainer(const TinyData& data, TrainingState state = {},
                       kernels::KernelSet kernels = kernels::default_kernels())
      : recipe_(data.recipe),
        corpus_(prepare_corpus(recipe_, data.path(), std::nullopt, [](const std::string&) {})),
        own_(models::make_translation_model(model_config(recipe_, corpus_.tokenizer), 1)),
        exec_(1, kernels),
        batcher_(corpus_.train, {.batch_tokens = recipe_.training.batch_tokens,
                                 .seed = 1,
                                 .eos = own_->vocabulary().eos,
                                 .decoder_start = own_->vocabulary().pad}),
        model(*own_),
        learner_(recipe_.training, model, batcher_),
        trainer(recipe_.training, learner_, exec_.get(), events(), std::move(state)) {}

  Ending run() { return trainer.run(stop); }
  float& weight() { return model.parameters().values().f32()[0]; }
  std::string diverges() {
    return message_of(Error::Kind::diverged, [&] { run(); });
  }

 private:
  TrainerEvents events() {
    return {.updated = [this](const LogEntry& entry) { updated(entry); },
            .log = [this](const LogEntry& entry) { logged.push_back(entry); },
            .validate = [this] { return validate(); },
            .validated = [this](const ValidationResult&, bool best) { bests.push_back(best); },
            .save = [this](const TrainingState& state) { saved.push_back(state); },
            .warn =
                [this](const std::string& text) {
                  warnings.push_back(text);
                  warned();
                }};
  }

  Recipe recipe_;
  Corpus corpus_;
  std::unique_ptr<models::TranslationModel> own_;
  kernels::ExecutionOwner exec_;
  data::Batcher batcher_;

 public:
  std::function<void(const LogEntry&)> updated = [](const LogEntry&) {};
  std::function<void()> warned = [] {};
  std::function<ValidationResult()> validate = [] { return ValidationResult{1.0}; };
  std::vector<std::string> warnings;
  std::vector<LogEntry> logged;
  std::vector<bool> bests;
  std::vector<TrainingState> saved;
  std::atomic<bool> stop{false};
  models::TranslationModel& model;

 private:
  TranslationLearner learner_;

 public:
  Trainer trainer;
};

/// Makes the weights undefined for the one update after `before`.
void spoil_one_update(TinyTrainer& tiny, std::int64_t before) {
  const auto kept = std::make_shared<float>();
  tiny.updated = [&tiny, before, kept](const LogEntry& entry) {
    if (entry.update != before) return;
    *kept = tiny.weight();
    tiny.weight() = nan;
  };
  tiny.warned = [&tiny, kept] { tiny.weight() = *kept; };
}

TEST(Trainer, H04_AnUndefinedGradientIsSkippedCountedAndNamed) {
  TinyData data;
  data.recipe.training.non_finite = NonFinite::skip;
  TinyTrainer tiny(data);
  spoil_one_update(tiny, 7);
  EXPECT_EQ(tiny.run(), Ending::updates);
  ASSERT_EQ(tiny.warnings.size(), 1u);
  EXPECT_NE(tiny.warnings[0].find(
                "update 8 (epoch 1, batch 7): the loss is not finite, first in the gradient of model."),
            std::string::npos)
      << tiny.warnings[0];
  EXPECT_EQ(tiny.trainer.state().skipped, 1);
  EXPECT_EQ(tiny.trainer.state().skipped_in_a_row, 0);
  EXPECT_EQ(tiny.logged.back().skipped, 1);
  for (const float w : tiny.model.parameters().values().values()) ASSERT_TRUE(std::isfinite(w));
}

TEST(Trainer, H04_TheRecipeMayStopInstead) {
  TinyData data;
  TinyTrainer tiny(data);
  spoil_one_update(tiny, 7);
  const std::string message = tiny.diverges();
  EXPECT_NE(message.find("update 8"), std::string::npos) << message;
  EXPECT_NE(message.find("--resume"), std::string::npos) << message;
  EXPECT_EQ(tiny.saved.back().update, 4);
}

TEST(Trainer, H05_TenSkippedInARowEndTheRun) {
  TinyData data;
  data.recipe.training.non_finite = NonFinite::skip;
  TinyTrainer tiny(data);
  tiny.updated = [&](const LogEntry& entry) {
    if (entry.update == 9) tiny.weight() = 3e38f;  // finite, as the file must be, but its products are not
  };
  const std::string message = tiny.diverges();
  EXPECT_NE(message.find("update 19"), std::string::npos) << message;
  EXPECT_EQ(tiny.warnings.size(), 9u);
  EXPECT_EQ(tiny.trainer.state().skipped_in_a_row, 10);
}

TEST(Trainer, H07_ARateOfAThousandIsFoundOutAndNothingUndefinedSaved) {
  for (const auto policy : {NonFinite::stop, NonFinite::skip}) {
    TinyData data;
    TrainingOptions& training = data.recipe.training;
    training.rate = 1e3;
    training.warmup = 0;
    training.updates = 400;
    training.validate_every = 1000;
    training.non_finite = policy;
    TinyTrainer tiny(data);
    tiny.diverges();
    EXPECT_LE(tiny.trainer.state().update, 100);
    for (const LogEntry& entry : tiny.logged) EXPECT_TRUE(std::isfinite(entry.loss));
  }
}

TEST(Trainer, H07_WeightsThatAreNotFiniteAreNeverSaved) {
  TinyData data;
  TinyTrainer tiny(data);
  tiny.updated = [&](const LogEntry& entry) {
    if (entry.update == 8) tiny.weight() = nan;  // between the update and its save
  };
  const std::string message = tiny.diverges();
  EXPECT_NE(message.find("weights are not finite"), std::string::npos) << message;
  EXPECT_EQ(tiny.saved.back().update, 4);
}

TEST(Trainer, AValidationLossThatIsNotFiniteIsNeverTheBest) {
  TinyData data;
  TinyTrainer tiny(data);
  tiny.validate = [] { return ValidationResult{std::nan(""), {{&bleu_metric, 50.0}}}; };
  tiny.diverges();
  EXPECT_TRUE(tiny.bests.empty());
}

TEST(Trainer, WhileNothingIsDecodedTheLowerLossIsBetter) {
  TinyData data;
  double loss = 3.0;
  TinyTrainer tiny(data);
  tiny.validate = [&] { return ValidationResult{loss -= 0.5, {{&bleu_metric, 0.0}}}; };
  tiny.run();
  EXPECT_EQ(tiny.bests, (std::vector<bool>{true, true, true, true, true}));
}

TEST(Trainer, H08_GradientNormZeroAndNoClipping) {
  TinyData data;
  data.recipe.training.clip_norm = 0;
  TinyTrainer tiny(data);
  Optimiser& optimiser = tiny.trainer.optimiser();
  const Tensor before = tiny.model.parameters().values().clone();
  tiny.model.parameters().zero_gradients();
  EXPECT_EQ(optimiser.gradient_norm(kernels::ExecutionOwner(1).get()), 0.0);
  optimiser.step(kernels::ExecutionOwner(1).get(), 1, 0.0);
  EXPECT_TRUE(std::ranges::equal(before.values(), tiny.model.parameters().values().values()));

  data.recipe.training.clip_norm = 1e-3;  // and clipping a gradient of norm zero divides by nothing
  TinyTrainer clipped(data);
  clipped.model.parameters().zero_gradients();
  clipped.trainer.optimiser().step(kernels::ExecutionOwner(1).get(), 1, 0.0);
  EXPECT_TRUE(std::ranges::equal(before.values(), clipped.model.parameters().values().values()));
}

TEST(Trainer, H04_TheOptimiserNamesTheTensorOnDisk) {
  TinyData data;
  TinyTrainer tiny(data);
  tiny.model.parameters().zero_gradients();
  const auto& optimiser = tiny.trainer.optimiser();
  EXPECT_EQ(optimiser.first_non_finite(), std::nullopt);
  for (const auto& parameter : tiny.model.parameters().all()) {
    if (parameter.parts.size() < 2) continue;
    const Tensor gradient = parameter.value.grad();
    gradient.f32()[gradient.elements() - 1] = nan;
    EXPECT_EQ(optimiser.first_non_finite(), parameter.parts.back().name);
    EXPECT_FALSE(std::isfinite(optimiser.gradient_norm(kernels::ExecutionOwner(1).get())));
    return;
  }
  FAIL() << "no packed parameter";
}

// A run that is stopped right after a skipped update, with all that a checkpoint holds carried over by hand.
TEST(Trainer, G01_StoppedAfterASkippedUpdate) {
  TinyData data;
  data.recipe.training.non_finite = NonFinite::skip;
  data.recipe.training.average_decay = 0.9;
  TinyTrainer whole(data);
  spoil_one_update(whole, 7);
  whole.run();

  TinyTrainer first(data);
  spoil_one_update(first, 7);
  const auto restore = first.warned;
  first.warned = [&] {
    restore();
    first.stop = true;
  };
  EXPECT_EQ(first.run(), Ending::stopped);
  EXPECT_EQ(first.trainer.state().update, 8);
  EXPECT_EQ(first.trainer.state().skipped_in_a_row, 1);

  TinyTrainer second(data, first.saved.back());
  const auto carry = [](const Tensor& from, const Tensor& to) { std::ranges::copy(from.values(), to.f32()); };
  carry(first.model.parameters().values(), second.model.parameters().values());
  carry(first.trainer.optimiser().m(), second.trainer.optimiser().m());
  carry(first.trainer.optimiser().v(), second.trainer.optimiser().v());
  carry(first.trainer.optimiser().average(), second.trainer.optimiser().average());
  second.run();
  const auto same = [](const Tensor& a, const Tensor& b) {
    return std::ranges::equal(a.values(), b.values());
  };
  EXPECT_TRUE(same(whole.model.parameters().values(), second.model.parameters().values()));
  EXPECT_TRUE(same(whole.trainer.optimiser().v(), second.trainer.optimiser().v()));
  EXPECT_TRUE(same(whole.trainer.optimiser().average(), second.trainer.optimiser().average()));
  EXPECT_EQ(whole.logged.back().loss, second.logged.back().loss);
  EXPECT_EQ(whole.logged.back().gradient_norm, second.logged.back().gradient_norm);
}

TEST(Trainer, H03_EveryTargetTokenCountsAndPacksNoPadding) {
  TinyData data;
  data.recipe.training.epochs = 1;
  TinyTrainer tiny(data);
  EXPECT_EQ(tiny.run(), Ending::epochs);
  std::int64_t words = 0;
  for (const char c : read(data / "train.target")) words += c == ' ' || c == '\n';
  // A word may be several pieces, a sentence ends in one more token; there is no padding among them.
  EXPECT_GE(tiny.trainer.state().target_tokens, words + 80);
}

TEST(Trainer, EndsWhereItsLimitsSay) {
  TinyData data;
  TrainingOptions& training = data.recipe.training;
  training.updates = 0;
  training.epochs = 2;
  TinyTrainer epochs(data);
  EXPECT_EQ(epochs.run(), Ending::epochs);
  EXPECT_EQ(epochs.trainer.state().position.batch, 0);
  EXPECT_EQ(epochs.trainer.state().position.epoch, 2);
  EXPECT_EQ(epochs.saved.back().update, epochs.trainer.state().update);  // the last update has its checkpoint

  training.epochs = 0;
  training.max_minutes_cpu = 0.05 / 60;
  TinyTrainer minutes(data);
  EXPECT_EQ(minutes.run(), Ending::minutes);
  EXPECT_GE(minutes.trainer.state().seconds, 0.05);
  EXPECT_LT(minutes.trainer.state().seconds, 5.0);
  EXPECT_EQ(minutes.saved.back().update, minutes.trainer.state().update);

  training.max_minutes_cpu = 0;
  training.patience = 2;
  TinyTrainer patience(data);  // its validations all say the same
  EXPECT_EQ(patience.run(), Ending::patience);
  EXPECT_EQ(patience.trainer.state().update, 15);
}

// Products in bf16 round; the loss follows that of f32, and what is validated is the f32 weights.
TEST(Trainer, InBf16TheLossFollowsThatOfF32) {
  for (const auto kind : {ModelKind::transformer, ModelKind::recurrent}) {
    TinyData data;
    if (kind == ModelKind::recurrent) data.make_recurrent();
    data.recipe.training.updates = 60;
    data.recipe.training.validate_every = 0;
    const RunResult f32 = run(data, "f32");
    data.recipe.training.precision = kernels::Precision::bf16;
    const RunResult bf16 = run(data, "bf16");
    EXPECT_LT(f32.state.best_loss, 2.0);
    EXPECT_NEAR(bf16.state.best_loss, f32.state.best_loss, 0.03 * f32.state.best_loss);
    const bool multiplies =
        kernels::default_kernels() == kernels::KernelSet::avx512 && kernels::has_16_bit_dot();
    EXPECT_EQ(read(data / "f32/model.safetensors") != read(data / "bf16/model.safetensors"), multiplies);
  }
}

TEST(Trainer, G05_AnyNumberOfThreadsRepeatsItself) {
  TinyData data;
  data.recipe.training.updates = 8;
  for (const int threads : {1, 2, 3, 4}) {
    std::vector<std::string> models;
    for (const char* name : {"a", "b"}) {
      std::filesystem::remove_all(data / name);
      const std::atomic<bool> never{false};
      run_training(data.recipe, {.data = data.path(), .output = data / name, .threads = threads}, never, {});
      models.push_back(read(newest_checkpoint(data / name) / "training_state.safetensors"));
    }
    EXPECT_TRUE(models[0] == models[1]) << threads << " threads";
  }
}

// Whatever the build is compiled for, the plain kernels compute the same bits: a sanitizer's build repeats
// what Release does. The number is what 24 updates leave; a change of the arithmetic changes it with reason.
TEST(Trainer, G12_EveryBuildGivesTheSameNumbers) {
  if (!kernels::runs_here(kernels::KernelSet::avx2)) GTEST_SKIP() << "the C library rounds otherwise there";
  TinyData data;
  TinyTrainer tiny(data, {}, kernels::KernelSet::plain);
  tiny.run();
  formats::Xxh64 hash;
  hash.update(std::as_bytes(tiny.model.parameters().values().values()));
  EXPECT_EQ(hash.hex(), "49307eafc33ce6c1");
}

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t pages = 0, resident = 0;
  file >> pages >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

void expect_flat_memory(ModelKind kind) {
  TinyData data(400);
  if (kind == ModelKind::recurrent) data.make_recurrent();
  data.recipe.training.updates = 2200;
  data.recipe.training.batch_tokens = 48;
  data.recipe.training.validate_every = 100000;
  TinyTrainer tiny(data);
  [[maybe_unused]] std::size_t resident = 0;
  std::size_t allocations = 0;
  tiny.updated = [&](const LogEntry& entry) {
    if (entry.update != 1100) return;  // every batch has come in several company
    resident = resident_bytes();
    allocations = storage_statistics().system_allocations;
  };
  tiny.run();
  EXPECT_EQ(storage_statistics().system_allocations, allocations);
#ifndef __SANITIZE_ADDRESS__  // which keeps what was freed for a while
  EXPECT_LT(resident_bytes(), resident + (std::size_t{1} << 20));
#endif
}

TEST(Trainer, MemoryStaysFlat) { expect_flat_memory(ModelKind::transformer); }
TEST(Trainer, MemoryStaysFlatOfRecurrentModels) { expect_flat_memory(ModelKind::recurrent); }

}  // namespace
}  // namespace fovea::training::test
