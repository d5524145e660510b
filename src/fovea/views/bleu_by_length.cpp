#include "fovea/views/bleu_by_length.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "fovea/views/axis.h"
#include "fovea/views/display_text.h"
#include "fovea/views/svg.h"

namespace fovea::views {
namespace {

constexpr const char *ink_text = "#1f2933", *soft_text = "#6b7785", *grid_colour = "#e4e8ed",
                     *bar_colour = "#eef1f5";
// Told apart by those who see colours otherwise too: Okabe and Ito 2008, "Color universal design".
constexpr std::array colours{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#4d4d4d"};

struct Frame {
  double left = 0, top = 0, width = 0, height = 0;
  Axis lengths = {}, bleus = {};

  double right() const { return left + width; }
  double bottom() const { return top + height; }
  double x(double length) const { return left + lengths.place(length) * width; }
  double y(double bleu) const { return top + (1 - bleus.place(bleu)) * height; }
};

const char* colour_of(std::size_t curve) { return colours[curve % colours.size()]; }

std::vector<LengthCurve> finite(std::vector<LengthCurve> curves) {
  for (auto& curve : curves)
    std::erase_if(curve.points,
                  [](const auto& p) { return !std::isfinite(p.length) || !std::isfinite(p.bleu); });
  std::erase_if(curves, [](const auto& curve) { return curve.points.empty(); });
  return curves;
}

void choose_axes(Frame& frame, const std::vector<LengthCurve>& curves) {
  double longest = 1, best = 1;
  for (const auto& curve : curves)
    for (const auto& point : curve.points) {
      longest = std::max(longest, point.length);
      best = std::max(best, point.bleu);
    }
  frame.lengths = Axis::around(0, longest, 8);
  frame.bleus = Axis::around(0, best, 6);
}

/// A bar below each point of the first curve, a quarter of the height at most, with the number of sentences.
void draw_bars(Svg& svg, const Frame& frame, const LengthCurve& curve) {
  std::size_t most = 1;
  double nearest = frame.lengths.high;
  for (std::size_t i = 0; i < curve.points.size(); ++i) {
    most = std::max(most, curve.points[i].segments);
    if (i > 0) nearest = std::min(nearest, curve.points[i].length - curve.points[i - 1].length);
  }
  const double wide = std::clamp(0.8 * (frame.x(nearest) - frame.x(0)), 4.0, 60.0);
  for (const auto& point : curve.points) {
    const double tall = 0.25 * frame.height * static_cast<double>(point.segments) / static_cast<double>(most);
    const double x = frame.x(point.length);
    svg.element("rect", {{"x", x - wide / 2},
                         {"y", frame.bottom() - tall},
                         {"width", wide},
                         {"height", tall},
                         {"fill", bar_colour}});
    if (wide >= 24)
      svg.text(x, frame.bottom() - 5, with_commas(static_cast<long long>(point.segments)),
               {{"text-anchor", "middle"}, {"font-size", 11}, {"fill", soft_text}});
  }
}

void draw_grid(Svg& svg, const Frame& frame) {
  for (const double tick : frame.bleus.ticks()) {
    const double y = frame.y(tick);
    svg.element("line",
                {{"x1", frame.left}, {"x2", frame.right()}, {"y1", y}, {"y2", y}, {"stroke", grid_colour}});
    svg.text(frame.left - 10, y + 4, frame.bleus.label(tick), {{"text-anchor", "end"}, {"fill", soft_text}});
  }
  for (const double tick : frame.lengths.ticks())
    svg.text(frame.x(tick), frame.bottom() + 20, frame.lengths.label(tick),
             {{"text-anchor", "middle"}, {"fill", soft_text}});
  svg.element("line", {{"x1", frame.left},
                       {"x2", frame.right()},
                       {"y1", frame.bottom()},
                       {"y2", frame.bottom()},
                       {"stroke", "#9aa5b1"}});
  svg.text(frame.left - 44, frame.top - 14, "BLEU", {{"fill", soft_text}});
  svg.text(frame.left + frame.width / 2, frame.bottom() + 42, "tokens of the source; bars: sentences",
           {{"text-anchor", "middle"}, {"fill", soft_text}});
}

struct Place {
  double x, y;
};

/// Where each entry of the legend stands: side by side while they fit.
std::vector<Place> legend_places(const std::vector<LengthCurve>& curves, double x, double y, double right) {
  std::vector<Place> places;
  double at = x;
  for (const auto& curve : curves) {
    const double length = 34 + 7.4 * display_width(curve.name) + 22;
    if (at > x && at + length > right) {
      at = x;
      y += 22;
    }
    places.push_back({at, y});
    at += length;
  }
  return places;
}

/// Circle, square, triangle, diamond by turns: curves can be told apart in black and white.
void draw_mark(Svg& svg, double x, double y, std::size_t curve) {
  const char* colour = colour_of(curve);
  if (curve % 4 == 0) return svg.element("circle", {{"cx", x}, {"cy", y}, {"r", 4.5}, {"fill", colour}});
  if (curve % 4 == 1)
    return svg.element("rect", {{"x", x - 4}, {"y", y - 4}, {"width", 8}, {"height", 8}, {"fill", colour}});
  const double up = curve % 4 == 2 ? 5 : 6, down = curve % 4 == 2 ? 4 : 0;
  std::string path =
      "M" + svg_number(x) + " " + svg_number(y - up) + "L" + svg_number(x + 5.5) + " " + svg_number(y + down);
  if (down == 0) path += "L" + svg_number(x) + " " + svg_number(y + up);
  path += "L" + svg_number(x - 5.5) + " " + svg_number(y + down) + "Z";
  svg.element("path", {{"d", path}, {"fill", colour}});
}

void draw_curve(Svg& svg, const Frame& frame, const LengthCurve& curve, std::size_t number) {
  std::string path;
  for (const auto& point : curve.points)
    path.append(path.empty() ? "M" : "L")
        .append(svg_number(frame.x(point.length)))
        .append(" ")
        .append(svg_number(frame.y(point.bleu)));
  svg.element("path", {{"d", path},
                       {"fill", "none"},
                       {"stroke", colour_of(number)},
                       {"stroke-width", 2.4},
                       {"stroke-linejoin", "round"},
                       {"stroke-linecap", "round"}});
  for (const auto& point : curve.points) draw_mark(svg, frame.x(point.length), frame.y(point.bleu), number);
}

void draw_legend(Svg& svg, const std::vector<Place>& places, const std::vector<LengthCurve>& curves) {
  for (std::size_t i = 0; i < curves.size(); ++i) {
    const auto [x, y] = places[i];
    svg.element("line", {{"x1", x},
                         {"x2", x + 24},
                         {"y1", y - 4},
                         {"y2", y - 4},
                         {"stroke", colour_of(i)},
                         {"stroke-width", 2.4}});
    draw_mark(svg, x + 12, y - 4, i);
    svg.text(x + 34, y, curves[i].name, {{"fill", ink_text}});
  }
}

}  // namespace

std::string bleu_by_length_svg(const std::vector<LengthCurve>& all, const LengthCurveOptions& options) {
  const auto curves = finite(all);
  const double width = std::max(options.width, 480.0), height = std::max(options.height, 320.0);
  Svg svg(width, height, options.title, "#ffffff");
  svg.open("g", {{"font-size", 13}});
  svg.text(32, 42, options.title, {{"font-size", 21}, {"font-weight", "600"}, {"fill", ink_text}});
  if (!options.subtitle.empty())
    svg.text(32, 65, options.subtitle, {{"font-size", 13.5}, {"fill", soft_text}});
  if (curves.empty()) {
    svg.text(width / 2, height / 2, "nothing measured",
             {{"text-anchor", "middle"}, {"font-size", 16}, {"fill", soft_text}});
    return svg.finish();
  }
  const auto places = legend_places(curves, 32, options.subtitle.empty() ? 72 : 94, width - 32);
  const double top = std::min(places.back().y + 46, height / 2);
  Frame frame{.left = 76, .top = top, .width = width - 76 - 40, .height = height - top - 68};
  choose_axes(frame, curves);
  draw_bars(svg, frame, curves.front());
  draw_grid(svg, frame);
  for (std::size_t i = 0; i < curves.size(); ++i) draw_curve(svg, frame, curves[i], i);
  draw_legend(svg, places, curves);
  return svg.finish();
}

}  // namespace fovea::views
