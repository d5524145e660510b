#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fovea::views {

/// What was measured at one update; absent where nothing was.
struct LearningPoint {
  std::int64_t update = 0;
  std::optional<double> loss = {};             ///< training loss, nats a token (or another unit)
  std::optional<double> validation_loss = {};  ///< the same of the validation set
  std::optional<double> metric = {};           ///< what else was measured of that, as BLEU
};

/// What the metric of a curve is.
struct CurveMetric {
  std::string name = "BLEU";
  bool share = false;  ///< 0 to 1, drawn in percent
  bool falls = false;  ///< less is better
};

struct LearningCurveOptions {
  std::string title = "Learning curve";
  std::string subtitle = {};   ///< model, data, ...
  std::string unit = "token";  ///< of which losses are nats
  CurveMetric metric = {};
  double width = 900, height = 520;  ///< pixels
};

/// How training went, as a picture in SVG: losses on the left axis, the metric on the right, over updates.
/// The training loss is drawn as measured (pale) and smoothed; the best value of the metric is marked. Points
/// may come in any order and in any number; values that are not finite are left out.
std::string learning_curve_svg(std::vector<LearningPoint> points, const LearningCurveOptions& options = {});

}  // namespace fovea::views
