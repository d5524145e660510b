#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/training/recipe_keys.h"

/// What differs between recipes of different tasks. A task has one entry, made by a file of its own
/// (translation_recipe.cpp); recipe_task.cpp lists them.
namespace fovea::training {

/// Finds keys that contradict each other, and says so where the first of them was given.
class Consistency {
 public:
  /// `given`: where each key that was given was given, by full name; `file` names the recipe.
  Consistency(std::map<std::string, std::string, std::less<>> given, std::string file)
      : given_(std::move(given)), file_(std::move(file)) {}

  bool has(std::string_view key) const { return given_.contains(key); }
  /// Throws Error(usage) unless it `holds`.
  void require(bool holds, std::string_view key, const std::string& what, const std::string& remedy) const;

 private:
  std::map<std::string, std::string, std::less<>> given_;
  std::string file_;
};

struct RecipeTask {
  TaskKind task;
  std::string_view name;         ///< in the key `task`
  std::string_view prefix = {};  ///< of the names of its presets, which go on with the kind of the model
  std::vector<ModelKind> kinds;  ///< of models that do it; the first unless model.kind says otherwise
  /// Adds its keys to those of all tasks. Its model.kind has the names of `kinds` as choices.
  void (*add_keys)(std::vector<Key>&);
  /// Sets what begins otherwise than Recipe{}, given the kind of the model.
  void (*set_defaults)(Recipe&);
  /// Sets the sizes of a preset, which is not custom, given the kind of the model.
  void (*set_sizes)(ModelPreset, ModelOptions&);
  bool (*validates)(const Recipe&);  ///< whether there is data to validate on
  void (*check)(const Recipe&, const Consistency&);
  void (*name_files)(Recipe&);  ///< some to stand in a recipe that is printed
};

/// All tasks, in the order of TaskKind.
std::span<const RecipeTask> recipe_tasks();
const RecipeTask& recipe_task(TaskKind task);

RecipeTask translation_recipes();
RecipeTask language_recipes();
RecipeTask classification_recipes();
RecipeTask tagging_recipes();
RecipeTask masked_recipes();

/// What is asked of [data] where that is plain text.
void check_text_data(const Recipe& recipe, const Consistency& check);

}  // namespace fovea::training
