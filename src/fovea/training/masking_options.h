#pragma once

#include "fovea/models/bert_config.h"

namespace fovea::training {

/// What only recipes for masked language models say; masked_recipe.cpp explains each.
struct MaskingOptions {
  models::BertConfig::Family family = models::BertConfig::Family::bert;
  double share = 0.15;
  bool whole_words = false;
};

}  // namespace fovea::training
