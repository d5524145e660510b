#include "fovea/training/task.h"

#include "fovea/training/classification_task.h"
#include "fovea/training/translation_task.h"

namespace fovea::training {

std::unique_ptr<Task> make_task(const Recipe& recipe, const TaskPlaces& places, const Notes& notes) {
  if (recipe.task == TaskKind::classification)
    return std::make_unique<ClassificationTask>(recipe, places, notes);
  return std::make_unique<TranslationTask>(recipe, places, notes);
}

}  // namespace fovea::training
