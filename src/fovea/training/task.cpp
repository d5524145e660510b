#include "fovea/training/task.h"

#include <filesystem>

#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/training/classification_task.h"
#include "fovea/training/language_task.h"
#include "fovea/training/masked_task.h"
#include "fovea/training/tagging_task.h"
#include "fovea/training/translation_task.h"

namespace fovea::training {

std::unique_ptr<Task> make_task(const Recipe& recipe, const TaskPlaces& places, const Notes& notes) {
  const bool begins_with = places.from_beginning && !recipe.init.empty();
  if (std::error_code error; begins_with && !std::filesystem::is_directory(recipe.init, error))
    throw Error(Error::Kind::model, "recipe: init", "there is no folder " + shown(recipe.init),
                "train or fetch the model that this one begins with");
  switch (recipe.task) {
    case TaskKind::translation:
      return std::make_unique<TranslationTask>(recipe, places, notes);
    case TaskKind::language_model:
      return std::make_unique<LanguageTask>(recipe, places, notes);
    case TaskKind::classification:
      return std::make_unique<ClassificationTask>(recipe, places, notes);
    case TaskKind::masked_language_model:
      return std::make_unique<MaskedTask>(recipe, places, notes);
    case TaskKind::token_classification:
      return std::make_unique<TaggingTask>(recipe, places, notes);
  }
  throw Error(Error::Kind::bug, "recipe", "is for no task");
}

}  // namespace fovea::training
