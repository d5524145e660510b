#include "fovea/views/heat_map_svg.h"

#include <algorithm>
#include <cmath>

#include "fovea/views/colour.h"
#include "fovea/views/display_text.h"
#include "fovea/views/svg.h"

namespace fovea::views {
namespace {

constexpr std::size_t most_tokens = 100;
constexpr int most_glyphs = 24;
constexpr double cell_width = 40, cell_height = 28, margin = 24, title_height = 40, legend_height = 50;
constexpr double font_size = 14, narrow_glyph = 7.9;  // an average letter of the system's font at that size
constexpr const char* ink_text = "#1f2933";
constexpr const char* soft_text = "#6b7785";

std::vector<std::string> labels(const std::vector<std::string>& tokens) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < std::min(most_tokens, tokens.size()); ++i) {
    out.push_back(join(fit(glyphs(label(tokens[i])), most_glyphs)));
  }
  return out;
}

double longest(const std::vector<std::string>& labels) {
  int columns = 1;
  for (const auto& text : labels) columns = std::max(columns, display_width(text));
  return columns * narrow_glyph;
}

void draw_cell(Svg& svg, double x, double y, double weight) {
  const Colour colour = ink(emphasis(weight));
  svg.element("rect", {{"x", x + 1},
                       {"y", y + 1},
                       {"width", cell_width - 2},
                       {"height", cell_height - 2},
                       {"rx", 3},
                       {"fill", hex(colour)}});
  const auto percent = std::lround(100 * weight);
  if (percent < 10) return;
  svg.text(x + cell_width / 2, y + cell_height / 2 + 4, std::to_string(percent),
           {{"text-anchor", "middle"},
            {"font-size", 11.5},
            {"fill", lightness(colour) > 0.5 ? ink_text : "#ffffff"}});
}

void draw_legend(Svg& svg, double x, double y) {
  constexpr int steps = 40;
  constexpr double step = 3;
  svg.text(x, y + 10, "0", {{"font-size", 12}, {"fill", soft_text}});
  for (int i = 0; i < steps; ++i) {
    svg.element("rect", {{"x", x + 14 + i * step},
                         {"y", y},
                         {"width", step + 0.3},
                         {"height", 12},
                         {"fill", hex(ink(i / (steps - 1.0)))}});
  }
  svg.text(x + 22 + steps * step, y + 10, "100 % of a row's attention",
           {{"font-size", 12}, {"fill", soft_text}});
}

/// The names of two texts below their columns, or at the right of their rows; where the second begins a line
/// goes through the matrix.
void draw_texts(Svg& svg, double left, double top, double columns, double rows,
                const AttentionMatrix& matrix) {
  const double right = left + columns * cell_width, bottom = top + rows * cell_height;
  const auto line = [&](double x1, double y1, double x2, double y2, const char* colour) {
    svg.element("line",
                {{"x1", x1}, {"y1", y1}, {"x2", x2}, {"y2", y2}, {"stroke", colour}, {"stroke-width", 1.5}});
  };
  const auto below = [&](double from, double to, const char* name) {
    const double x1 = left + from * cell_width + 2, x2 = left + to * cell_width - 2;
    line(x1, bottom + 5, x2, bottom + 5, soft_text);
    svg.text((x1 + x2) / 2, bottom + 19, name,
             {{"text-anchor", "middle"}, {"font-size", 12}, {"fill", soft_text}});
  };
  const auto beside = [&](double from, double to, const char* name) {
    const double y1 = top + from * cell_height + 2, y2 = top + to * cell_height - 2;
    line(right + 5, y1, right + 5, y2, soft_text);
    svg.text(right + 11, (y1 + y2) / 2 + 4, name, {{"font-size", 12}, {"fill", soft_text}});
  };
  if (const auto second = static_cast<double>(matrix.source_second); second > 0 && second < columns) {
    line(left + second * cell_width, top, left + second * cell_width, bottom, ink_text);
    below(0, second, "first");
    below(second, columns, "second");
  }
  if (const auto second = static_cast<double>(matrix.target_second); second > 0 && second < rows) {
    line(left, top + second * cell_height, right, top + second * cell_height, ink_text);
    beside(0, second, "first");
    beside(second, rows, "second");
  }
}

}  // namespace

std::string heat_map_svg(const AttentionMatrix& matrix, const std::string& title) {
  check_matrix(matrix);
  const auto sources = labels(matrix.source), targets = labels(matrix.target);
  constexpr double slope = 0.7071;  // labels stand at 45 degrees
  const double left = margin + longest(targets) + 10;
  const double top = margin + title_height + longest(sources) * slope + 18;
  const double right_overhang = longest(sources) * slope;
  const auto columns = static_cast<double>(sources.size()), rows = static_cast<double>(targets.size());
  const double beside = matrix.target_second > 0 ? 60 : 0, below = matrix.source_second > 0 ? 20 : 0;
  const double width =
      std::max(left + columns * cell_width + std::max(right_overhang, beside), left + 330) + margin;
  const double height = top + rows * cell_height + below + legend_height;

  Svg svg(width, height, title, "#ffffff");
  svg.text(margin, margin + 16, join(glyphs(title)),
           {{"font-size", 18}, {"font-weight", "600"}, {"fill", ink_text}});
  for (std::size_t s = 0; s < sources.size(); ++s) {
    const double x = left + (static_cast<double>(s) + 0.5) * cell_width, y = top - 10;
    svg.text(x, y, sources[s],
             {{"font-size", font_size},
              {"fill", ink_text},
              {"transform", "rotate(-45 " + svg_number(x) + " " + svg_number(y) + ")"}});
  }
  for (std::size_t t = 0; t < targets.size(); ++t) {
    const double y = top + static_cast<double>(t) * cell_height;
    svg.text(left - 10, y + cell_height / 2 + 5, targets[t],
             {{"text-anchor", "end"}, {"font-size", font_size}, {"fill", ink_text}});
    for (std::size_t s = 0; s < sources.size(); ++s) {
      const float weight = matrix.at(t, s);
      draw_cell(svg, left + static_cast<double>(s) * cell_width, y,
                std::isfinite(weight) ? std::clamp(static_cast<double>(weight), 0.0, 1.0) : 0.0);
    }
  }
  draw_texts(svg, left, top, columns, rows, matrix);
  draw_legend(svg, left, top + rows * cell_height + below + 20);
  return svg.finish();
}

}  // namespace fovea::views
