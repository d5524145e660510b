#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fovea::views {

/// What was taken for what: counts [gold, predicted] of the classes `names`, row by row.
struct ConfusionTable {
  std::vector<std::string> names;
  std::vector<std::int64_t> counts;
};

/// The table as a picture in SVG: a row for each class, a column for what its texts were said to be, darker
/// is more of the row. Names are escaped and made harmless. The first 60 classes are drawn. Throws
/// Error(bug) unless there are C*C counts.
std::string confusion_svg(const ConfusionTable& table, const std::string& title = "Confusion matrix");

}  // namespace fovea::views
