#pragma once

#include <vector>

#include "fovea/training/recipe_task.h"

/// What recipes of the tasks that train an encoder say alike.
namespace fovea::training {

/// The keys of [tokenizer], of which the text's own are learned.
void add_encoder_tokenizer(std::vector<Key>& keys);
/// Those of [model]: of a BERT, and perhaps of a recurrent network.
void add_encoder_model(std::vector<Key>& keys, bool or_recurrent);
void set_encoder_defaults(Recipe& recipe);
/// The sizes of a BERT.
void set_encoder_sizes(ModelPreset preset, ModelOptions& model);
/// [model], and what `init` does not go with.
void check_encoder(const Recipe& recipe, const Consistency& check);

}  // namespace fovea::training
