#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fovea::views {

/// What was measured at one update; absent where nothing was.
struct LearningPoint {
  std::int64_t update = 0;
  std::optional<double> loss = {};             ///< training loss, nats per token
  std::optional<double> validation_loss = {};  ///< nats per token
  std::optional<double> bleu = {};             ///< of the validation set, 0 to 100
};

struct LearningCurveOptions {
  std::string title = "Learning curve";
  std::string subtitle = {};         ///< model, data, ...
  double width = 900, height = 520;  ///< pixels
};

/// How training went, as a picture in SVG: losses on the left axis, BLEU on the right, over updates. The
/// training loss is drawn as measured (pale) and smoothed; the best BLEU is marked. Points may come in any
/// order and in any number; values that are not finite are left out.
std::string learning_curve_svg(std::vector<LearningPoint> points, const LearningCurveOptions& options = {});

}  // namespace fovea::views
