#pragma once

#include "fovea/formats/json.h"
#include "fovea/formats/json_writer.h"
#include "fovea/models/text_classifier.h"

namespace fovea::models {

/// id2label and problem_type of a config.json; without the first, num_labels (or 2) classes LABEL_0, LABEL_1,
/// ..., as Transformers names them. Throws Error(model) naming the key unless the ids are 0 .. C - 1.
ClassNames read_class_names(const formats::Json& config);

/// id2label, label2id and problem_type.
void write_class_names(formats::JsonWriter& json, const ClassNames& classes);

}  // namespace fovea::models
