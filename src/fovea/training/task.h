#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fovea/formats/json_writer.h"
#include "fovea/training/learner.h"
#include "fovea/training/recipe.h"
#include "fovea/training/validation.h"

namespace fovea::training {

/// Receives what the user should know: examples left out, text repaired.
using Notes = std::function<void(const std::string&)>;

/// Files of a model directory, by name, beside the weights.
using FolderFiles = std::vector<std::pair<std::string, std::string>>;

/// How much there is to learn from.
struct Amount {
  std::string examples;      ///< what they are called: "pairs"
  std::int64_t count = 0;    ///< of them
  std::string tokens;        ///< of how many tokens: "1000 source and 900 target tokens"
  std::int64_t batches = 0;  ///< an epoch
};

/// How carefully a model is judged.
enum class Care { while_training, at_the_end };

/// What a model is trained for: its data, its tokenizer, and how to tell whether it is good.
class Task {
 public:
  virtual ~Task() = default;

  virtual Learner& learner() = 0;
  virtual Amount amount() = 0;
  /// Of the training data.
  virtual std::uint64_t fingerprint() const = 0;
  /// Configuration and tokenizer of the model directory.
  virtual FolderFiles files() const = 0;

  virtual bool validates() const = 0;
  /// What validations measure, and "best" goes by; null: their loss.
  virtual const Metric* metric() const { return nullptr; }
  /// With the model's present weights.
  virtual ValidationResult validate(Care care, const kernels::Execution& exec) const = 0;
  /// Adds to training.json what was learned from, and what else there is to say of how the final weights do.
  virtual void summarise(formats::JsonWriter& json, const ValidationResult* final) const = 0;
};

/// Where a task finds what it needs.
struct TaskPlaces {
  std::filesystem::path data;       ///< paths of the recipe are relative to this
  std::filesystem::path tokenizer;  ///< a folder that holds the tokenizer, as a run that is resumed; or empty
  /// The model's beginning is wanted: the recipe's `init`, if it has one. Else a checkpoint follows.
  bool from_beginning = true;
};

/// The task of a recipe, its data read and its model built. Throws Error(data), Error(usage), Error(model) as
/// reading and building do.
std::unique_ptr<Task> make_task(const Recipe& recipe, const TaskPlaces& places, const Notes& notes);

}  // namespace fovea::training
