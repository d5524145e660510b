#pragma once

#include <string>
#include <vector>

#include "fovea/attention/head_statistics.h"

namespace fovea::views {

/// Statistics of heads as a table of text, a line each below a line of names; columns as in HeadStatistics,
/// shares in percent. ASCII; lines of 75 columns at most.
std::string head_table(const std::vector<attention::HeadStatistics>& heads);

}  // namespace fovea::views
