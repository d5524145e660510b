#pragma once

#include <string>
#include <vector>

#include "fovea/views/attention_page.h"

namespace fovea::views {

/// A recording as a page reads it.
struct PageRecording {
  std::string json;                 ///< labels, words, sides, statistics of heads; no '<', '>' or '&' in it
  std::vector<std::string> blocks;  ///< weights of layer after layer: quantised, compressed, in base64
};

/// Throws as attention_page() does.
PageRecording page_recording(const attention::Recording& recording, const PageOptions& options);

}  // namespace fovea::views
