#include "fovea/formats/checkpoint.h"

#include <gtest/gtest.h>

#include "fovea/formats/hash.h"
#include "tests/base/fake_file_system.h"
#include "tests/base/scratch.h"

namespace fovea::formats {
namespace {

using test::FakeFiles;
using test::Killed;
using test::message_of;
using test::ScratchFolder;

constexpr FakeFiles::Loss every_loss[] = {FakeFiles::Loss::nothing, FakeFiles::Loss::everything,
                                          FakeFiles::Loss::bytes, FakeFiles::Loss::tail};

// What a training of `flavour` would save at `step`.
std::string weights_of(std::uint64_t step, char flavour = 'w') {
  return std::string(150'000 + step, flavour);
}
std::string state_of(std::uint64_t step) { return "{\"step\": " + std::to_string(step) + "}"; }

Checkpoint write(const std::filesystem::path& run, std::uint64_t step, FileSystem& files,
                 char flavour = 'w') {
  CheckpointWriter writer(run, step, files);
  const std::string weights = weights_of(step, flavour);
  writer.add("model.safetensors", weights.size(), [&](const ByteSink& sink) {
    sink(as_bytes(weights).first(100));
    sink(as_bytes(weights).subspan(100));
  });
  writer.add("state.json", state_of(step));
  return writer.commit();
}

void make_run(FakeFiles& files) {
  files.make_folder("/run");
  files.sync_folder("/");
}

std::vector<std::string> names_in(FakeFiles& files, const std::filesystem::path& folder = "/run") {
  return files.list(folder).value;
}

/// The checkpoint must hold all that was written for its step.
void expect_whole(const Checkpoint& checkpoint, FakeFiles& files, const std::string& flavours = "w") {
  const std::string weights = files.text(checkpoint.folder / "model.safetensors");
  ASSERT_FALSE(weights.empty());
  EXPECT_NE(flavours.find(weights.front()), std::string::npos);
  EXPECT_EQ(weights, weights_of(checkpoint.step, weights.front()));
  EXPECT_EQ(files.text(checkpoint.folder / "state.json"), state_of(checkpoint.step));
}

TEST(Checkpoint, IsWrittenFoundAndVerified) {
  const ScratchFolder run;
  const Checkpoint first = write(run.path(), 100, system_files());
  EXPECT_EQ(first.folder, run / "checkpoint-000100");
  write(run.path(), 2'000'000, system_files());
  std::vector<std::string> warnings;
  EXPECT_EQ(newest_valid_checkpoint(run.path(), warnings)->step, 2'000'000U);
  EXPECT_TRUE(warnings.empty());
  EXPECT_EQ(run.names(), (std::vector<std::string>{"checkpoint-000100", "checkpoint-2000000"}));
  EXPECT_EQ(read_file(first.folder / "state.json", 100, Error::Kind::model), state_of(100));
  write(run.path(), 100, system_files(), 'n');  // over the first, on the real file system
  EXPECT_EQ(read_file(first.folder / "model.safetensors", 1 << 20, Error::Kind::model), weights_of(100, 'n'));
  EXPECT_EQ(prune_checkpoints(run.path(), 1, {}).size(), 1U);
  EXPECT_EQ(run.names(), std::vector<std::string>{"checkpoint-2000000"});
}

TEST(Checkpoint, F12_OrderIsThatOfTheStepsWhateverTheClock) {
  FakeFiles files;
  make_run(files);
  for (const std::uint64_t step : {999'999, 1'000'000, 5}) write("/run", step, files);
  for (const auto name : {"checkpoint-12", "checkpoint-0000012", "checkpoint-000012.old", "checkpoint-",
                          "checkpoint-00001x", "xcheckpoint-000012", "checkpoint-99999999999999999999999"})
    files.make_folder(std::filesystem::path("/run") / name);
  std::vector<std::uint64_t> steps;
  for (const auto& found : find_checkpoints("/run", files)) steps.push_back(found.step);
  EXPECT_EQ(steps, (std::vector<std::uint64_t>{1'000'000, 999'999, 5}));
}

TEST(Checkpoint, NoneYet) {
  FakeFiles files;
  make_run(files);
  std::vector<std::string> warnings;
  EXPECT_FALSE(newest_valid_checkpoint("/run", warnings, files));
  EXPECT_TRUE(warnings.empty());
  EXPECT_EQ(message_of(Error::Kind::model, [&] { find_checkpoints("/none", files); }),
            "/none: cannot be read: No such file or directory");
}

/// Kills `save` at each of its operations in turn; after each, whatever was lost, the run folder must hold a
/// whole checkpoint that `accept` knows, and the same save must then succeed and leave nothing else behind.
template <class Prepare, class Save, class Accept>
int kill_everywhere(FakeFiles::Loss loss, Prepare prepare, Save save, Accept accept) {
  for (int n = 1;; ++n) {
    FakeFiles files;
    make_run(files);
    prepare(files);
    files.kill_at(n);
    bool finished = false;
    try {
      save(files);
      finished = true;
    } catch (const Killed&) {
    }
    files.restart(loss);
    std::vector<std::string> warnings;
    const auto found = newest_valid_checkpoint("/run", warnings, files);
    EXPECT_EQ(warnings, std::vector<std::string>{}) << "operation " << n;
    for (const auto& any : find_checkpoints("/run", files)) verify_checkpoint(any, files);
    accept(files, found, finished);
    save(files);
    for (const auto& name : names_in(files)) EXPECT_FALSE(is_temporary_name(name)) << name;
    if (finished || testing::Test::HasFailure()) return n;
  }
}

TEST(Checkpoint, F01_F02_F03_KilledDuringTheFirst) {
  for (const auto loss : every_loss) {
    const int operations = kill_everywhere(
        loss, [](FakeFiles&) {}, [](FakeFiles& files) { write("/run", 100, files); },
        [](FakeFiles& files, const std::optional<Checkpoint>& found, bool finished) {
          EXPECT_TRUE(found || !finished);
          if (found) expect_whole(*found, files);
        });
    EXPECT_GT(operations, 15);
  }
}

TEST(Checkpoint, F01_F02_F03_KilledDuringTheNext) {
  for (const auto loss : every_loss)
    kill_everywhere(
        loss, [](FakeFiles& files) { write("/run", 100, files); },
        [](FakeFiles& files) { write("/run", 200, files); },
        [](FakeFiles& files, const std::optional<Checkpoint>& found, bool finished) {
          ASSERT_TRUE(found);
          EXPECT_TRUE(found->step == 200 || (found->step == 100 && !finished));
          expect_whole(*found, files);
        });
}

TEST(Checkpoint, F01_F02_F03_KilledWhileReplacingOneOfTheSameStep) {
  for (const auto loss : every_loss)
    kill_everywhere(
        loss, [](FakeFiles& files) { write("/run", 100, files, 'o'); },
        [](FakeFiles& files) { write("/run", 100, files, 'n'); },
        [](FakeFiles& files, const std::optional<Checkpoint>& found, bool finished) {
          ASSERT_TRUE(found);
          expect_whole(*found, files, finished ? "n" : "on");
        });
}

TEST(Checkpoint, F01_F02_F03_KilledWhileSavingAndPruning) {
  for (const auto loss : every_loss)
    kill_everywhere(
        loss,
        [](FakeFiles& files) {
          for (const std::uint64_t step : {100, 200, 300}) write("/run", step, files);
        },
        [](FakeFiles& files) {
          write("/run", 400, files);
          prune_checkpoints("/run", 1, {200}, files);
        },
        [](FakeFiles& files, const std::optional<Checkpoint>& found, bool) {
          ASSERT_TRUE(found);
          EXPECT_GE(found->step, 300U);
          expect_whole(*found, files);
          EXPECT_TRUE(files.exists("/run/checkpoint-000200/state.json"));
        });
}

TEST(Checkpoint, F04_AFullDiskLeavesWhatWasThere) {
  for (std::uint64_t room = 0; room < 150'000; room += 5'000) {
    FakeFiles files;
    make_run(files);
    write("/run", 100, files);
    files.set_capacity(weights_of(100).size() + state_of(100).size() + 400 + room);
    const std::string message = message_of(Error::Kind::machine, [&] { write("/run", 200, files); });
    EXPECT_NE(message.find(
                  "/run/checkpoint-000200/model.safetensors: cannot write: No space left on device after "),
              std::string::npos)
        << message;
    EXPECT_NE(message.find(" bytes of 150200; free some space"), std::string::npos) << message;
    EXPECT_EQ(names_in(files), std::vector<std::string>{"checkpoint-000100"});
    files.set_capacity(1'000'000);
    write("/run", 200, files);
    EXPECT_EQ(names_in(files).size(), 2U);
  }
}

TEST(Checkpoint, F04_F05_EveryCallThatFailsLeavesAWholeCheckpoint) {
  for (const int error : {EIO, ENOSPC})
    for (const bool from_then_on : {false, true})
      for (int n = 1;; ++n) {
        FakeFiles files;
        make_run(files);
        write("/run", 100, files);
        files.fail_at(n, error, {}, from_then_on);
        bool finished = false;
        try {
          write("/run", 200, files);
          finished = files.operations() < n;
        } catch (const Error& failure) {
          EXPECT_EQ(failure.kind(), Error::Kind::machine) << failure.what();
          EXPECT_NE(std::string(failure.what()).find("/run/checkpoint-000200"), std::string::npos)
              << failure.what();
        }
        files.no_fault();
        std::vector<std::string> warnings;
        const auto found = newest_valid_checkpoint("/run", warnings, files);
        ASSERT_TRUE(found) << n;
        EXPECT_TRUE(warnings.empty());
        expect_whole(*found, files);
        write("/run", 300, files);
        for (const auto& name : names_in(files)) EXPECT_FALSE(is_temporary_name(name)) << name;
        if (finished) break;
      }
}

TEST(Checkpoint, F06_TheRunFolderIsGone) {
  FakeFiles files;
  EXPECT_EQ(message_of(Error::Kind::machine, [&] { write("/run", 1, files); }),
            "/run/checkpoint-000001: cannot be made: No such file or directory");
}

TEST(Checkpoint, AFailedFileMakesTheWholeCheckpointFail) {
  FakeFiles files;
  make_run(files);
  {
    CheckpointWriter writer("/run", 1, files);
    EXPECT_THROW(
        writer.add("a", 0, [](const ByteSink&) { throw Error(Error::Kind::diverged, "w", "is NaN"); }),
        Error);
    EXPECT_THROW(writer.commit(), Error);
    EXPECT_THROW(writer.add("b", "text"), Error);
  }
  EXPECT_EQ(names_in(files), std::vector<std::string>{});
  CheckpointWriter writer("/run", 1, files);
  writer.add("a", "text");
  for (const auto name : {"a", "../b", "manifest.json", "", ".b"}) {
    CheckpointWriter other("/run", 2, files);
    other.add("a", "text");
    EXPECT_THROW(other.add(name, "text"), Error) << name;
  }
}

TEST(Checkpoint, F09_PruningVerifiesTheNewestFirst) {
  FakeFiles files;
  make_run(files);
  for (const std::uint64_t step : {100, 200, 300, 400, 500}) write("/run", step, files);
  files.change("/run/checkpoint-000500/model.safetensors", [](std::string& text) { text[77] ^= 1; });
  EXPECT_THROW(prune_checkpoints("/run", 2, {}, files), Error);
  EXPECT_EQ(names_in(files).size(), 5U);
  write("/run", 500, files);  // replaces the damaged one
  const auto removed = prune_checkpoints("/run", 2, {100}, files);
  ASSERT_EQ(removed.size(), 2U);
  EXPECT_EQ(removed[0].step + removed[1].step, 500U);
  EXPECT_EQ(names_in(files),
            (std::vector<std::string>{"checkpoint-000100", "checkpoint-000400", "checkpoint-000500"}));
  EXPECT_TRUE(prune_checkpoints("/run", 2, {100}, files).empty());
  prune_checkpoints("/run", 0, {}, files);  // the newest always stays
  EXPECT_EQ(names_in(files), std::vector<std::string>{"checkpoint-000500"});
}

TEST(Checkpoint, F10_ADamagedOneIsPassedOverWithAWarning) {
  const std::pair<const char*, std::function<void(std::string&)>> damages[] = {
      {"model.safetensors", [](std::string& text) { text.resize(text.size() / 2); }},
      {"model.safetensors", [](std::string& text) { text[100'000] ^= 4; }},
      {"state.json", [](std::string& text) { text += " "; }},
      {"state.json", [](std::string& text) { text.clear(); }},
      {"manifest.json", [](std::string& text) { text.clear(); }},
      {"manifest.json", [](std::string& text) { text.resize(text.size() - 5); }},
  };
  for (const auto& [name, damage] : damages) {
    FakeFiles files;
    make_run(files);
    write("/run", 100, files);
    const Checkpoint newest = write("/run", 200, files);
    files.change(newest.folder / name, damage);
    std::vector<std::string> warnings;
    const auto found = newest_valid_checkpoint("/run", warnings, files);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->step, 100U);
    ASSERT_EQ(warnings.size(), 1U);
    EXPECT_NE(warnings[0].find((newest.folder / name).string()), std::string::npos) << warnings[0];
    EXPECT_NE(warnings[0].find("checkpoint-000200 is damaged, passed over"), std::string::npos)
        << warnings[0];
  }
  FakeFiles files;
  make_run(files);
  const Checkpoint only = write("/run", 100, files);
  files.remove(only.folder / "state.json");
  std::vector<std::string> warnings;
  EXPECT_FALSE(newest_valid_checkpoint("/run", warnings, files));
  EXPECT_EQ(warnings.size(), 1U);
}

TEST(Checkpoint, F10_EveryBitOfTheManifestIsGuarded) {
  FakeFiles files;
  make_run(files);
  const Checkpoint checkpoint = write("/run", 100, files);
  const auto path = checkpoint.folder / "manifest.json";
  const std::string whole = files.text(path);
  for (std::size_t at = 0; at < whole.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      files.change(path, [&](std::string& text) { (text = whole)[at] ^= static_cast<char>(1 << bit); });
      std::vector<std::string> warnings;
      const auto found = newest_valid_checkpoint("/run", warnings, files);
      // Only the space around the last member is not covered: there, a change is another space or no JSON.
      EXPECT_TRUE(!found || at >= whole.size() - 3) << at << " " << bit;
    }
  files.change(path, [&](std::string& text) { text = whole; });
  verify_checkpoint(checkpoint, files);
}

/// A manifest as another version would write it.
void write_manifest(FakeFiles& files, std::string body) {
  Xxh64 hash;
  hash.update(as_bytes(body));
  body += ",\n  \"manifest_xxh64\": \"" + hash.hex() + "\"\n}\n";
  files.change("/run/checkpoint-000200/manifest.json", [&](std::string& text) { text = body; });
}

TEST(Checkpoint, F13_OneOfANewerVersionIsNotPassedOver) {
  FakeFiles files;
  make_run(files);
  write("/run", 100, files);
  write("/run", 200, files);
  write_manifest(files,
                 "{\n  \"format\": \"fovea-checkpoint\",\n  \"version\": 2,\n  \"shape\": \"unknown\"");
  std::vector<std::string> warnings;
  EXPECT_EQ(message_of(Error::Kind::model, [&] { newest_valid_checkpoint("/run", warnings, files); }),
            "/run/checkpoint-000200/manifest.json: was written by a newer fovea: its format is version 2, "
            "this program "
            "reads up to 1; use that fovea, or a newer one");
  EXPECT_THROW(prune_checkpoints("/run", 1, {}, files), NewerCheckpoint);
}

TEST(Checkpoint, F13_VersionOneIsReadForEver) {
  FakeFiles files;
  make_run(files);
  write("/run", 200, files);
  // As version 1 wrote it, letter by letter: this text never changes.
  files.change("/run/checkpoint-000200/manifest.json", [](std::string& text) {
    text = R"({
  "format": "fovea-checkpoint",
  "version": 1,
  "step": 200,
  "files": [
    {
      "name": "model.safetensors",
      "bytes": 150200,
      "xxh64": "27c51c7ac90981e8"
    },
    {
      "name": "state.json",
      "bytes": 13,
      "xxh64": "f59110d0c1eb994a"
    }
  ],
  "manifest_xxh64": "3c3f4768c256c0fb"
}
)";
  });
  verify_checkpoint({"/run/checkpoint-000200", 200}, files);
}

TEST(Checkpoint, AManifestThatLeavesItsFolderIsRefused) {
  FakeFiles files;
  make_run(files);
  write("/run", 200, files);
  files.place("/run/outside", "x");
  const std::string head =
      "{\n  \"format\": \"fovea-checkpoint\",\n  \"version\": 1,\n  \"step\": 200,\n  \"files\": ";
  const auto refusal = [&](const std::string& body) {
    write_manifest(files, body);
    return message_of(Error::Kind::model, [&] { verify_checkpoint({"/run/checkpoint-000200", 200}, files); });
  };
  EXPECT_NE(
      refusal(head + R"([{"name": "../outside", "bytes": 1, "xxh64": ""}])").find("is not the bare name"),
      std::string::npos);
  EXPECT_NE(refusal(head + R"([{"name": "none", "bytes": 1, "xxh64": ""}])").find("there is no such file"),
            std::string::npos);
  EXPECT_NE(refusal(head + R"([{"name": "state.json", "bytes": -1, "xxh64": ""}])").find("is -1"),
            std::string::npos);
  EXPECT_NE(refusal("{\n  \"format\": \"tea\"").find("is not that of a checkpoint"), std::string::npos);
  EXPECT_NE(refusal("{\n  \"format\": \"fovea-checkpoint\",\n  \"version\": 1,\n  \"step\": 7")
                .find("another step"),
            std::string::npos);
}

}  // namespace
}  // namespace fovea::formats
