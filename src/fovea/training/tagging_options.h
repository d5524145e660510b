#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fovea::training {

/// What only recipes for token classification say; tagging_recipe.cpp explains each.
struct TaggingOptions {
  std::string train, valid;
  double valid_share = 0;
  std::int64_t word_column = 1, label_column = 0;  ///< from 1; label 0: the last
  std::vector<std::string> labels;
};

}  // namespace fovea::training
