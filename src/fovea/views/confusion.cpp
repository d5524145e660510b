#include "fovea/views/confusion.h"

#include <algorithm>

#include "fovea/base/error.h"
#include "fovea/views/attention_matrix.h"
#include "fovea/views/axis.h"
#include "fovea/views/colour.h"
#include "fovea/views/display_text.h"
#include "fovea/views/svg.h"

namespace fovea::views {
namespace {

constexpr std::size_t most_classes = 60;
constexpr int most_glyphs = 24;
constexpr double cell = 46, margin = 24, title_height = 40, narrow_glyph = 7.9;
constexpr const char *ink_text = "#1f2933", *soft_text = "#6b7785";

std::vector<std::string> labels_of(const std::vector<std::string>& names) {
  std::vector<std::string> labels;
  for (std::size_t i = 0; i < std::min(most_classes, names.size()); ++i)
    labels.push_back(join(fit(glyphs(label(names[i])), most_glyphs)));
  return labels;
}

void draw_cell(Svg& svg, double x, double y, std::int64_t count, double share) {
  const Colour colour = ink(emphasis(share));
  svg.element("rect", {{"x", x + 1},
                       {"y", y + 1},
                       {"width", cell - 2},
                       {"height", cell - 2},
                       {"rx", 3},
                       {"fill", hex(colour)}});
  if (count == 0) return;
  svg.text(x + cell / 2, y + cell / 2 + 4, with_commas(count),
           {{"text-anchor", "middle"},
            {"font-size", 12},
            {"fill", lightness(colour) > 0.5 ? ink_text : "#ffffff"}});
}

}  // namespace

std::string confusion_svg(const ConfusionTable& table, const std::string& title) {
  const std::size_t C = table.names.size();
  if (table.counts.size() != C * C)
    throw Error(Error::Kind::bug, "confusion matrix",
                std::to_string(table.counts.size()) + " counts for " + std::to_string(C) + " classes");
  const auto labels = labels_of(table.names);
  int longest = 9;  // "predicted"
  for (const auto& text : labels) longest = std::max(longest, display_width(text));
  constexpr double slope = 0.7071;  // labels stand at 45 degrees
  const double length = longest * narrow_glyph, left = margin + length + 12;
  const double top = margin + title_height + length * slope + 20;
  const double side = static_cast<double>(labels.size()) * cell;
  const double width = std::max(left + side + length * slope, left + 200) + margin;
  Svg svg(width, top + side + 2 * margin, title, "#ffffff");
  svg.text(margin, margin + 16, join(glyphs(title)),
           {{"font-size", 18}, {"font-weight", "600"}, {"fill", ink_text}});
  svg.text(margin, margin + 38, "rows: what texts are; columns: what they were said to be",
           {{"font-size", 12}, {"fill", soft_text}});
  for (std::size_t g = 0; g < labels.size(); ++g) {
    const double at = static_cast<double>(g) * cell;
    svg.text(left - 10, top + at + cell / 2 + 4, labels[g], {{"text-anchor", "end"}, {"fill", ink_text}});
    const double x = left + at + cell / 2, y = top - 10;
    svg.text(x, y, labels[g],
             {{"fill", ink_text}, {"transform", "rotate(-45 " + svg_number(x) + " " + svg_number(y) + ")"}});
    std::int64_t sum = 0;
    for (std::size_t p = 0; p < C; ++p) sum += table.counts[g * C + p];
    for (std::size_t p = 0; p < labels.size(); ++p) {
      const std::int64_t count = table.counts[g * C + p];
      draw_cell(svg, left + static_cast<double>(p) * cell, top + at, count,
                sum > 0 ? static_cast<double>(count) / static_cast<double>(sum) : 0.0);
    }
  }
  return svg.finish();
}

}  // namespace fovea::views
