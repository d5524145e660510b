#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fovea/models/recurrent_classifier.h"
#include "fovea/text/tokenizer_trainer.h"

namespace fovea::training {

/// What only recipes for classification say, in several sections; classification_recipe.cpp explains each.
struct ClassificationOptions {
  std::int64_t text_column = 1, second_column = 0, label_column = 2;  ///< from 1; second 0: no pairs
  bool header = false;
  double valid_share = 0;
  std::vector<std::string> labels;
  text::TokenizerTraining::Kind tokens = text::TokenizerTraining::Kind::words;
  bool lowercase = true;
  std::int64_t least_count = 1;
  models::RecurrentClassifierConfig::Pooling pooling = models::RecurrentClassifierConfig::Pooling::attention;
  double embedding_dropout = 0, classifier_dropout = 0, word_dropout = 0;
};

}  // namespace fovea::training
