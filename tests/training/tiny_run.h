#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>
#include <vector>

#include "fovea/base/random.h"
#include "fovea/formats/checkpoint.h"
#include "fovea/text/sentencepiece_trainer.h"
#include "fovea/training/run.h"
#include "tests/base/scratch.h"

/// Training on next to nothing: what a run does is the same as for a large model, in milliseconds.
namespace fovea::training::test {

using fovea::test::message_of;
using fovea::test::ScratchFolder;
using Path = std::filesystem::path;

inline std::string read(const Path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write(const Path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

/// Sentence pairs of a made-up language: the target is the source backwards.
struct Pairs {
  std::string source, target;

  static Pairs reversed(int count, std::uint64_t seed, int longest = 8) {
    static constexpr const char* words[] = {"ba", "do", "fi", "gu", "ke", "lo", "mi", "nu", "pa", "ro"};
    const auto key = RandomKey::of(seed, 0, site::shuffle);
    std::uint64_t at = 0;
    Pairs pairs;
    for (int i = 0; i < count; ++i) {
      std::string forth, back;
      const int length = 1 + static_cast<int>(below(key, ++at, static_cast<std::uint32_t>(longest)));
      for (int w = 0; w < length; ++w) {
        const std::string word = words[below(key, ++at, std::size(words))];
        forth += (w ? " " : "") + word;
        back = word + (w ? " " : "") + back;
      }
      pairs.source += forth + "\n";
      pairs.target += back + "\n";
    }
    return pairs;
  }
  void save(const Path& folder, const std::string& name) const {
    write(folder / (name + ".source"), source);
    write(folder / (name + ".target"), target);
  }
};

/// A SentencePiece model for such text, trained once.
inline const std::string& tiny_tokenizer() {
  static const std::string model = [] {
    std::vector<std::string> lines;
    for (int i = 0; i < 40; ++i) lines.push_back("ba do fi gu ke lo mi nu pa ro");
    return text::train_sentencepiece({.vocabulary_size = 40, .exact_size = false, .byte_fallback = false},
                                     lines);
  }();
  return model;
}

/// Where files live in memory, if there is such a place: a run syncs hundreds of small files, and these tests
/// are not about the disk.
inline Path memory_folder() {
  const Path shm = "/dev/shm";
  return std::filesystem::is_directory(shm) ? shm : std::filesystem::temp_directory_path();
}

/// A folder with data and tokenizer, and a recipe for them: about ten batches an epoch.
class TinyData {
 public:
  explicit TinyData(int train = 80, int valid = 12) {
    Pairs::reversed(train, 1).save(folder_.path(), "train");
    Pairs::reversed(valid, 2).save(folder_.path(), "valid");
    write(folder_ / "tokenizer.model", tiny_tokenizer());
    recipe.name = "tiny";
    recipe.data.train_source = "train.source";
    recipe.data.train_target = "train.target";
    recipe.data.valid_source = "valid.source";
    recipe.data.valid_target = "valid.target";
    recipe.data.source_language = "aa";
    recipe.data.target_language = "bb";
    recipe.tokenizer.model = folder_ / "tokenizer.model";
    recipe.model.preset = ModelPreset::custom;
    recipe.model.encoder_layers = recipe.model.decoder_layers = 1;
    recipe.model.width = 16;
    recipe.model.feed_forward = 32;
    recipe.model.heads = 2;
    recipe.model.max_positions = 64;
    recipe.model.dropout = recipe.model.attention_dropout = recipe.model.activation_dropout = 0.1;
    TrainingOptions& training = recipe.training;
    training.updates = 24;
    training.batch_tokens = 64;
    training.rate = 0.01;
    training.warmup = 6;
    training.average_last = 0;
    training.validate_every = 5;
    training.save_every = 4;
    training.log_every = 3;
    recipe.decoding.beam = 2;
  }

  /// The same task for a recurrent model: the defaults of its kind, as narrow.
  void make_recurrent() {
    const ModelOptions defaults;
    ModelOptions& model = recipe.model;
    model.kind = ModelKind::recurrent;
    model.feed_forward = defaults.feed_forward;
    model.heads = defaults.heads;
    model.activation_dropout = defaults.activation_dropout;
  }

  Path operator/(const std::string& name) const { return folder_ / name; }
  const Path& path() const { return folder_.path(); }

  Recipe recipe;

 private:
  ScratchFolder folder_{memory_folder()};
};

struct RunSettings {
  bool resume = false;
  std::int64_t stop_after = 0;  ///< sets the stop flag during this update; 0: never
  bool allow_changed_data = false;
};

/// Runs the recipe in the folder `name` beside the data; `notes` collects what it says.
inline RunResult run(const TinyData& data, const Recipe& recipe, const std::string& name,
                     const RunSettings& settings = {}, std::vector<std::string>* notes = nullptr) {
  std::atomic<bool> stop{false};
  Reporter reporter;
  reporter.note = [&](const std::string& note) {
    if (notes) notes->push_back(note);
  };
  reporter.updated = [&](const LogEntry& entry) { stop = entry.update == settings.stop_after; };
  return run_training(recipe,
                      {.data = data.path(),
                       .output = data / name,
                       .resume = settings.resume,
                       .allow_changed_data = settings.allow_changed_data,
                       .threads = 1},
                      stop, reporter);
}

inline RunResult run(const TinyData& data, const std::string& name, const RunSettings& settings = {},
                     std::vector<std::string>* notes = nullptr) {
  return run(data, data.recipe, name, settings, notes);
}

/// What is measured with a clock, taken out.
inline std::string without_times(const std::string& text) {
  static const std::regex times("\"([a-z]+_per_second|seconds|core_minutes)\": ?[-+.e0-9]+");
  return std::regex_replace(text, times, "");
}

inline Path newest_checkpoint(const Path& run_folder) {
  return formats::find_checkpoints(run_folder / "checkpoints").front().folder;
}

/// Weights, moments, moving average, state, losses, the model left and how it was chosen: the same bytes.
inline void expect_same_run(const Path& a, const Path& b, const char* weights = "model.safetensors") {
  const Path last_a = newest_checkpoint(a), last_b = newest_checkpoint(b);
  EXPECT_EQ(last_a.filename(), last_b.filename());
  for (const char* name : {weights, "training_state.safetensors"})
    EXPECT_TRUE(read(last_a / name) == read(last_b / name)) << name << " of the last checkpoint differs";
  EXPECT_EQ(without_times(read(last_a / "training_state.json")),
            without_times(read(last_b / "training_state.json")));
  EXPECT_EQ(without_times(read(a / "log.jsonl")), without_times(read(b / "log.jsonl")));
  EXPECT_TRUE(read(a / weights) == read(b / weights)) << "the models left differ";
  EXPECT_EQ(without_times(read(a / "training.json")), without_times(read(b / "training.json")));
}

/// A folder of data with a recipe, and its runs beside them.
class TinyRuns {
 public:
  RunResult run(const std::string& name, bool resume = false, std::int64_t stop_after = 0) const {
    std::atomic<bool> stop{false};
    Reporter reporter;
    reporter.updated = [&](const LogEntry& entry) { stop = entry.update == stop_after; };
    return run_training(recipe,
                        {.data = folder_.path(), .output = folder_ / name, .resume = resume, .threads = 1},
                        stop, reporter);
  }
  Path operator/(const std::string& name) const { return folder_ / name; }

  Recipe recipe;

 protected:
  ScratchFolder folder_{memory_folder()};
};

}  // namespace fovea::training::test
