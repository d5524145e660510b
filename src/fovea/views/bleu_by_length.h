#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace fovea::views {

/// BLEU of one system by the length of the source.
struct LengthCurve {
  struct Point {
    double length = 0;         ///< mean length of the sources, tokens
    double bleu = 0;           ///< 0 to 100
    std::size_t segments = 0;  ///< sentences that it is measured on
  };
  std::string name;
  std::vector<Point> points;  ///< from short to long
};

struct LengthCurveOptions {
  std::string title = "BLEU by source length";
  std::string subtitle = {};         ///< data, model, ...
  double width = 900, height = 520;  ///< pixels
};

/// The curves of several systems in one picture (SVG), BLEU from 0, each with a colour and a mark of its own;
/// pale bars say how many sentences the first one's points stand on. Values that are not finite are left out.
/// After Bahdanau et al. 2015, figure 2.
std::string bleu_by_length_svg(const std::vector<LengthCurve>& curves,
                               const LengthCurveOptions& options = {});

}  // namespace fovea::views
