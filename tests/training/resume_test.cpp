#include <gtest/gtest.h>

#include "fovea/base/run_lock.h"
#include "tests/training/tiny_run.h"

namespace fovea::training::test {
namespace {

/// Trains to the end at once, and with a stop after each of `stops`; both must be the same run.
void expect_stops_leave_no_trace(TinyData& data, const std::vector<std::int64_t>& stops) {
  run(data, "whole");
  for (std::size_t i = 0; i < stops.size(); ++i) {
    const auto part = run(data, "parts", {.resume = i > 0, .stop_after = stops[i]});
    EXPECT_EQ(part.ending, Ending::stopped);
    EXPECT_EQ(part.state.update, stops[i]);
    EXPECT_EQ(formats::find_checkpoints(data / "parts/checkpoints").front().step,
              static_cast<std::uint64_t>(stops[i]));
  }
  run(data, "parts", {.resume = true});
  expect_same_run(data / "whole", data / "parts");
}

std::int64_t batches_of_first_epoch(const TinyData& data) {
  return plan_training(data.recipe, {.data = data.path(), .threads = 1}, {}).amount.batches;
}

TEST(Resume, G01_AfterTheFirstUpdate) {
  TinyData data;
  expect_stops_leave_no_trace(data, {1});
}

TEST(Resume, G01_MidEpochInsideWarmUpAndAgain) {
  TinyData data;
  expect_stops_leave_no_trace(data, {3, 5, 6, 7});
}

TEST(Resume, G01_LastOfAnEpochAndFirstOfTheNext) {
  TinyData data;
  const std::int64_t epoch = batches_of_first_epoch(data);
  ASSERT_GT(epoch, 3);
  ASSERT_LT(epoch + 1, data.recipe.training.updates);
  expect_stops_leave_no_trace(data, {epoch, epoch + 1});
}

TEST(Resume, G01_WithAccumulationAcrossEpochs) {
  TinyData data;
  data.recipe.training.accumulate = 3;
  ASSERT_NE(batches_of_first_epoch(data) % 3, 0);  // so that an update spans two epochs
  expect_stops_leave_no_trace(data, {2, 4, 11});
}

TEST(Resume, G01_AfterAValidation) {
  TinyData data;
  expect_stops_leave_no_trace(data, {5, 10});
}

TEST(Resume, G01_AfterTheEarlyStopCounterMoved) {
  TinyData data;
  data.recipe.training.rate = 0;  // nothing improves
  data.recipe.training.patience = 3;
  const auto whole = run(data, "whole");
  EXPECT_EQ(whole.ending, Ending::patience);
  EXPECT_EQ(whole.state.update, 20);
  run(data, "parts", {.stop_after = 11});
  EXPECT_EQ(run(data, "parts", {.resume = true, .stop_after = 15}).state.stalled, 2);
  EXPECT_EQ(run(data, "parts", {.resume = true}).ending, Ending::patience);
  expect_same_run(data / "whole", data / "parts");
}

TEST(Resume, G01_G02_WithMovingAverageClippingAndSmoothing) {
  TinyData data;
  TrainingOptions& training = data.recipe.training;
  training.average_decay = 0.9;
  training.average_last = 3;
  training.clip_norm = 0.5;
  training.label_smoothing = 0.2;
  training.optimizer = OptimiserKind::adamw;
  training.weight_decay = 0.01;
  training.schedule = ScheduleKind::cosine;
  expect_stops_leave_no_trace(data, {2, 13, 22});
}

TEST(Resume, G01_G03_InBf16) {
  TinyData data;
  data.recipe.training.precision = kernels::Precision::bf16;
  expect_stops_leave_no_trace(data, {2, 13});
}

TEST(Resume, G01_ARecurrentModelWithAllItsRandomNumbers) {
  TinyData data;
  data.make_recurrent();
  data.recipe.recurrent.normaliser = attention::Normaliser::monotonic;
  data.recipe.recurrent.variational_dropout = true;
  data.recipe.training.clip_norm = 1;
  expect_stops_leave_no_trace(data, {2, 13, 22});
}

TEST(Resume, SlowG01_AfterEveryUpdate) {
  TinyData data;
  for (std::int64_t stop = 1; stop < data.recipe.training.updates; ++stop) {
    std::filesystem::remove_all(data / "whole");
    std::filesystem::remove_all(data / "parts");
    expect_stops_leave_no_trace(data, {stop});
  }
}

TEST(Resume, G01_ALowerLimitLeavesNoTraceEither) {
  TinyData data;
  run(data, "whole");
  Recipe half = data.recipe;
  half.training.updates = 13;  // no multiple of any interval
  const auto first = run(data, half, "parts");
  EXPECT_EQ(first.ending, Ending::updates);
  EXPECT_EQ(first.state.validated, 13);  // its last weights are validated and logged ...
  EXPECT_NE(read(data / "parts/log.jsonl").find("{\"update\":13,\"valid_loss\""), std::string::npos);
  run(data, "parts", {.resume = true});  // ... but not in the longer run
  EXPECT_EQ(without_times(read(data / "whole/log.jsonl")), without_times(read(data / "parts/log.jsonl")));
  EXPECT_TRUE(read(newest_checkpoint(data / "whole") / "training_state.safetensors") ==
              read(newest_checkpoint(data / "parts") / "training_state.safetensors"));
}

TEST(Resume, G01_FromAnOlderCheckpointAsAfterAKill) {
  TinyData data;
  run(data, "whole");
  run(data, "parts", {.stop_after = 19});
  for (const char* lost : {"checkpoint-000019", "checkpoint-000016", "checkpoint-000012"})
    std::filesystem::remove_all(data / "parts/checkpoints" / lost);
  write(data / "parts/log.jsonl", read(data / "parts/log.jsonl") + "{\"update\":19,\"lo");  // torn
  run(data, "parts", {.resume = true});
  expect_same_run(data / "whole", data / "parts");
}

TEST(Resume, G01_KilledBeforeTheFirstCheckpointBeginsAnew) {
  TinyData data;
  run(data, "whole");
  run(data, "parts", {.stop_after = 2});
  std::filesystem::remove_all(data / "parts/checkpoints/checkpoint-000002");
  run(data, "parts", {.resume = true});
  expect_same_run(data / "whole", data / "parts");
}

TEST(Resume, G01_KilledWhileTheFinalWeightsAreChosen) {
  TinyData data;
  data.recipe.training.average_last = 3;
  run(data, "whole");
  run(data, "parts");
  std::filesystem::remove(data / "parts/training.json");  // the last thing that is written
  run(data, "parts", {.resume = true});
  EXPECT_EQ(without_times(read(data / "whole/log.jsonl")), without_times(read(data / "parts/log.jsonl")));
  EXPECT_TRUE(read(data / "whole/model.safetensors") == read(data / "parts/model.safetensors"));
}

TEST(Resume, ARunThatEndedIsLeftAsItIs) {
  TinyData data;
  run(data, "run");
  const std::string log = read(data / "run/log.jsonl"), model = read(data / "run/model.safetensors");
  std::vector<std::string> notes;
  const auto again = run(data, "run", {.resume = true}, &notes);
  EXPECT_TRUE(again.ended_before);
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_EQ(notes[0], "this run ended at update 24 (training.updates = 24); raise that limit to go on");
  EXPECT_EQ(read(data / "run/log.jsonl"), log);
  EXPECT_TRUE(read(data / "run/model.safetensors") == model);
}

TEST(Resume, G04_TheSameSeedGivesTheSameRun) {
  TinyData data;
  run(data, "a");
  run(data, "b");
  expect_same_run(data / "a", data / "b");
}

TEST(Resume, G04_AnotherSeedGivesAnotherRun) {
  TinyData data;
  run(data, "a");
  data.recipe.training.seed = 2;
  run(data, "b");
  EXPECT_FALSE(read(data / "a/model.safetensors") == read(data / "b/model.safetensors"));
  EXPECT_NE(without_times(read(data / "a/log.jsonl")), without_times(read(data / "b/log.jsonl")));
}

TEST(Resume, G06_ChangedDataIsRefusedUnlessAllowed) {
  TinyData data;
  run(data, "run", {.stop_after = 6});
  const std::string recipe = read(data / "run/recipe.toml");
  Pairs::reversed(80, 3).save(data.path(), "train");
  data.recipe.training.updates = 26;
  const auto message = message_of(Error::Kind::data, [&] { run(data, "run", {.resume = true}); });
  EXPECT_NE(message.find("--allow-changed-data"), std::string::npos) << message;
  EXPECT_EQ(read(data / "run/recipe.toml"), recipe);  // a refusal changes nothing
  EXPECT_EQ(run(data, "run", {.resume = true, .allow_changed_data = true}).state.update, 26);
}

TEST(Resume, G07_ForbiddenKeysAreListedAllowedOnesContinue) {
  TinyData data;
  run(data, "run", {.stop_after = 6});
  Recipe changed = data.recipe;
  changed.training.seed = 9;
  changed.model.dropout = 0.5;
  const auto message = message_of(Error::Kind::usage, [&] { run(data, changed, "run", {.resume = true}); });
  EXPECT_NE(message.find("model.dropout (0.1 -> 0.5), training.seed (1 -> 9)"), std::string::npos) << message;
  changed = data.recipe;
  changed.training.rate = 0.001;  // as the advice for a run that diverged says
  changed.training.updates = 9;
  EXPECT_EQ(run(data, changed, "run", {.resume = true}).state.update, 9);
}

TEST(Resume, F10_ADamagedNewestCheckpointIsPassedOver) {
  for (const bool truncated : {true, false}) {
    TinyData data;
    run(data, "whole");
    run(data, "parts", {.stop_after = 10});
    const Path weights = data / "parts/checkpoints/checkpoint-000010/model.safetensors";
    std::string bytes = read(weights);
    if (truncated)
      bytes.resize(bytes.size() / 2);
    else
      bytes[bytes.size() - 9] ^= 1;
    write(weights, bytes);
    std::vector<std::string> notes;
    // Stopping before update 10 saves a checkpoint that is older than the damaged one.
    run(data, "parts", {.resume = true, .stop_after = 9}, &notes);
    EXPECT_NE(notes.front().find("checkpoint-000010 is damaged, passed over"), std::string::npos)
        << notes.front();
    run(data, "parts", {.resume = true});
    expect_same_run(data / "whole", data / "parts");
  }
}

TEST(Resume, F10_WithEveryCheckpointDamagedNothingIsOverwritten) {
  TinyData data;
  run(data, "run", {.stop_after = 10});
  for (const auto& checkpoint : formats::find_checkpoints(data / "run/checkpoints"))
    std::filesystem::resize_file(checkpoint.folder / "training_state.json", 3);
  const std::string log = read(data / "run/log.jsonl");
  const auto message = message_of(Error::Kind::model, [&] { run(data, "run", {.resume = true}); });
  EXPECT_NE(message.find("no checkpoint that is whole"), std::string::npos) << message;
  EXPECT_EQ(read(data / "run/log.jsonl"), log);
}

TEST(Resume, F11_ASecondProcessInTheFolderIsRefused) {
  TinyData data;
  run(data, "run", {.stop_after = 3});
  const RunLock lock(data / "run");
  const auto message = message_of(Error::Kind::machine, [&] { run(data, "run", {.resume = true}); });
  EXPECT_NE(message.find("in use by another process"), std::string::npos) << message;
}

TEST(Resume, AFolderWithARunNeedsResumeAndOneWithoutRefusesIt) {
  TinyData data;
  message_of(Error::Kind::usage, [&] { run(data, "run", {.resume = true}); });
  EXPECT_FALSE(std::filesystem::exists(data / "run"));
  run(data, "run", {.stop_after = 3});
  const auto message = message_of(Error::Kind::usage, [&] { run(data, "run"); });
  EXPECT_NE(message.find("use --resume"), std::string::npos) << message;
}

/// A checkpoint of update 10 whose state is `change`d, sealed as a whole one.
void reseal_state(const Path& run_folder, const std::function<std::string(std::string)>& change) {
  const Path old = run_folder / "checkpoints/checkpoint-000010";
  formats::CheckpointWriter writer(run_folder / "checkpoints", 11);
  for (const char* name : {"model.safetensors", "training_state.safetensors"})
    writer.add(name, read(old / name));
  writer.add("training_state.json", change(read(old / "training_state.json")));
  writer.commit();
}

TEST(Resume, F13_AStateOfANewerFormatIsRefusedClearly) {
  TinyData data;
  run(data, "run", {.stop_after = 10});
  reseal_state(data / "run", [](const std::string& json) {
    return std::regex_replace(json, std::regex("\"version\": 1"), "\"version\": 2");
  });
  const auto message = message_of(Error::Kind::model, [&] { run(data, "run", {.resume = true}); });
  EXPECT_NE(message.find("reads up to 1"), std::string::npos) << message;
  EXPECT_NE(message.find("newer fovea"), std::string::npos) << message;
}

TEST(Resume, F13_AStateOfTheFirstFormatLoads) {
  TinyData data;
  run(data, "run", {.stop_after = 10});
  reseal_state(data / "run", [](std::string json) {
    for (const char* key : {"best_loss", "validated", "gradient_norm"})
      json = std::regex_replace(json, std::regex("\"" + std::string(key) + "\": [-+.e0-9]+,\\s*"), "");
    return std::regex_replace(json, std::regex(",\\s*\"seconds\": [-+.e0-9]+(\\s*\\},)"), "$1");
  });
  EXPECT_EQ(read(data / "run/checkpoints/checkpoint-000011/training_state.json").find("best_loss"),
            std::string::npos);
  EXPECT_EQ(run(data, "run", {.resume = true}).state.update, 24);
}

TEST(Resume, F12_CheckpointsAreNotToldApartByClocks) {
  TinyData data;
  run(data, "whole");
  run(data, "parts", {.stop_after = 10});
  const auto past = std::filesystem::file_time_type::clock::now() - std::chrono::hours(24 * 365);
  std::filesystem::last_write_time(data / "parts/checkpoints/checkpoint-000010", past);
  run(data, "parts", {.resume = true});
  expect_same_run(data / "whole", data / "parts");
}

}  // namespace
}  // namespace fovea::training::test
