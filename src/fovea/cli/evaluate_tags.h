#pragma once

#include <optional>
#include <string>

#include "fovea/base/dtype.h"
#include "fovea/cli/evaluate_labels.h"

namespace fovea::cli {

/// Prints how well the model in `folder`, which labels words, does on labelled words (data/tagged_text.h),
/// for people or as JSON: accuracy, and if the labels mark entities their precision, recall and F1, leniently
/// and strictly counted.
void evaluate_tags(const std::string& folder, const LabelledTest& test, bool json,
                   std::optional<DType> weights, int threads);

}  // namespace fovea::cli
