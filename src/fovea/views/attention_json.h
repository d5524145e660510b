#pragma once

#include <string>
#include <vector>

#include "fovea/attention/record.h"
#include "fovea/views/attention_page.h"

namespace fovea::views {

struct AttentionJsonOptions {
  std::string model = {};                 ///< its name or folder
  std::vector<NamedLayers> further = {};  ///< layers computed from the recorded ones
};

/// Attention as JSON for other programs, every number as it was recorded: docs/formats/attention.md.
/// Throws Error(bug) for weights that are no numbers, which JSON cannot hold.
std::string attention_json(const attention::Recording& recording, const AttentionJsonOptions& options = {});

}  // namespace fovea::views
