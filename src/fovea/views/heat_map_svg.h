#pragma once

#include <string>

#include "fovea/views/attention_matrix.h"

namespace fovea::views {

/// Attention as a picture in SVG: a row for each target token, a column for each source token, darker is
/// more, percentages in cells of 10 % and more. Tokens are escaped and made harmless. The first 100 rows and
/// columns are drawn. Throws Error (bug) unless there are T*S weights.
std::string heat_map_svg(const AttentionMatrix& matrix, const std::string& title = "Attention");

}  // namespace fovea::views
