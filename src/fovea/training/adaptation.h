#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fovea/models/model.h"
#include "fovea/training/recipe.h"
#include "fovea/training/task.h"

namespace fovea::training {

/// Whether the recipe has a section [lora]: adapters learn, and the model of `init` stays as it is.
inline bool adapts(const Recipe& recipe) { return recipe.lora.rank > 0; }

/// Gives the model, which holds the weights of recipe.init, the adapters of [lora]; `saved` names modules
/// that learn whole beside them. Throws Error(usage): targets that the model has not, a family that takes
/// none, an `init` that is an adapter itself.
void adapt(models::Model& model, const Recipe& recipe, std::vector<std::string> saved = {});

/// adapter_config.json, of a model that has adapters.
void add_adapter_config(FolderFiles& files, const Recipe& recipe, const models::Model& model,
                        std::string_view task_type);

}  // namespace fovea::training
