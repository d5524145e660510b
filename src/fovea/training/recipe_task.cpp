#include "fovea/training/recipe_task.h"

#include "fovea/base/error.h"

namespace fovea::training {

void Consistency::require(bool holds, std::string_view key, const std::string& what,
                          const std::string& remedy) const {
  if (holds) return;
  const auto found = given_.find(key);
  throw Error(Error::Kind::usage, found == given_.end() ? file_ : found->second, what, remedy);
}

std::span<const RecipeTask> recipe_tasks() {
  static const std::vector<RecipeTask> tasks{translation_recipes(), language_recipes(),
                                             classification_recipes(), tagging_recipes(), masked_recipes()};
  return tasks;
}

const RecipeTask& recipe_task(TaskKind task) { return recipe_tasks()[static_cast<std::size_t>(task)]; }

}  // namespace fovea::training
