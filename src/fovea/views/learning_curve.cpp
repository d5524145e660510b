#include "fovea/views/learning_curve.h"

#include <algorithm>
#include <cmath>

#include "fovea/base/decimal.h"
#include "fovea/views/axis.h"
#include "fovea/views/svg.h"

namespace fovea::views {
namespace {

constexpr const char *loss_colour = "#e07a3f", *validation_colour = "#b03a5b", *metric_colour = "#2166ac";
constexpr const char *ink_text = "#1f2933", *soft_text = "#6b7785", *grid_colour = "#e4e8ed";
constexpr std::size_t most_points = 800;  // more cannot be told apart, and make the file large

struct Point {
  double x = 0, y = 0;
};
using Series = std::vector<Point>;

/// Everything that is drawn.
struct Curves {
  Series loss, smooth_loss, validation, metric;
};

struct Frame {
  double left = 0, top = 0, width = 0, height = 0;
  Axis updates = {}, losses = {}, metrics = {};

  double x(double update) const { return left + updates.place(update) * width; }
  double y(const Axis& axis, double value) const { return top + (1 - axis.place(value)) * height; }
};

Series series(const std::vector<LearningPoint>& points, std::optional<double> LearningPoint::*member) {
  Series out;
  for (const auto& point : points) {
    const auto& value = point.*member;
    if (value && std::isfinite(*value)) out.push_back({static_cast<double>(point.update), *value});
  }
  return out;
}

/// Averages of neighbours, so that at most `most_points` are left.
Series thinned(const Series& points) {
  const std::size_t stride = (points.size() + most_points - 1) / most_points;
  if (stride <= 1) return points;
  Series out;
  for (std::size_t begin = 0; begin < points.size(); begin += stride) {
    const std::size_t end = std::min(begin + stride, points.size());
    Point mean;
    for (std::size_t i = begin; i < end; ++i) mean = {mean.x + points[i].x, mean.y + points[i].y};
    const auto count = static_cast<double>(end - begin);
    out.push_back({mean.x / count, mean.y / count});
  }
  return out;
}

/// An average that looks equally far back and ahead (about 1/40 of the curve each), narrower at its ends.
Series smoothed(const Series& points) {
  Series out;
  const std::size_t reach = points.size() / 40;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const std::size_t near = std::min({reach, i, points.size() - 1 - i});
    double sum = 0;
    for (std::size_t k = i - near; k <= i + near; ++k) sum += points[k].y;
    out.push_back({points[i].x, sum / static_cast<double>(2 * near + 1)});
  }
  return out;
}

struct Range {
  double low = INFINITY, high = -INFINITY;
};

Range range_of(std::initializer_list<const Series*> all, double Point::*member) {
  Range range;
  for (const auto* series : all) {
    for (const auto& point : *series) {
      range.low = std::min(range.low, point.*member);
      range.high = std::max(range.high, point.*member);
    }
  }
  return range;
}

/// Updates begin at 0; the losses choose the grid, the metric fits in.
void choose_axes(Frame& frame, const Curves& curves) {
  const Range updates = range_of({&curves.loss, &curves.validation, &curves.metric}, &Point::x);
  const Range losses = range_of({&curves.loss, &curves.validation}, &Point::y);
  const Range metrics = range_of({&curves.metric}, &Point::y);
  frame.updates = Axis::between(std::min(0.0, updates.low), updates.high, 8);
  frame.losses = Axis::around(losses.low, losses.high, 6);
  // From 0 if it more than doubled; else what moves late in training would look flat.
  const double least = metrics.low < metrics.high / 2 ? 0.0 : metrics.low;
  frame.metrics = Axis::divided(least, metrics.high, static_cast<int>(frame.losses.ticks().size()) - 1);
}

void draw_line(Svg& svg, const Frame& frame, const Axis& axis, const Series& points, const char* colour,
               double width, double opacity = 1) {
  if (points.empty()) return;
  std::string path;
  for (const auto& point : points) {
    path.push_back(path.empty() ? 'M' : 'L');
    path.append(svg_number(frame.x(point.x))).append(" ").append(svg_number(frame.y(axis, point.y)));
  }
  svg.element("path", {{"d", path},
                       {"fill", "none"},
                       {"stroke", colour},
                       {"stroke-width", width},
                       {"stroke-linejoin", "round"},
                       {"stroke-linecap", "round"},
                       {"stroke-opacity", opacity}});
}

void draw_dots(Svg& svg, const Frame& frame, const Axis& axis, const Series& points, const char* colour) {
  if (points.size() > 60) return;
  for (const auto& point : points) {
    svg.element("circle",
                {{"cx", frame.x(point.x)}, {"cy", frame.y(axis, point.y)}, {"r", 2.6}, {"fill", colour}});
  }
}

void draw_grid(Svg& svg, const Frame& frame, const Curves& curves, const LearningCurveOptions& options) {
  const double right = frame.left + frame.width, bottom = frame.top + frame.height;
  const bool has_losses = !curves.loss.empty() || !curves.validation.empty();
  const auto horizontal = [&](double y) {
    svg.element("line", {{"x1", frame.left}, {"x2", right}, {"y1", y}, {"y2", y}, {"stroke", grid_colour}});
  };
  for (const double tick : frame.losses.ticks()) {
    if (!has_losses) break;
    const double y = frame.y(frame.losses, tick);
    horizontal(y);
    svg.text(frame.left - 10, y + 4, frame.losses.label(tick), {{"text-anchor", "end"}, {"fill", soft_text}});
  }
  for (const double tick : frame.metrics.ticks()) {
    if (curves.metric.empty()) break;
    const double y = frame.y(frame.metrics, tick);
    if (!has_losses) horizontal(y);
    svg.element("line", {{"x1", right}, {"x2", right + 5}, {"y1", y}, {"y2", y}, {"stroke", metric_colour}});
    svg.text(right + 10, y + 4, frame.metrics.label(tick), {{"fill", metric_colour}});
  }
  for (const double tick : frame.updates.ticks()) {
    const double x = frame.x(tick);
    svg.element("line", {{"x1", x}, {"x2", x}, {"y1", frame.top}, {"y2", bottom}, {"stroke", grid_colour}});
    svg.text(x, bottom + 20, frame.updates.label(tick), {{"text-anchor", "middle"}, {"fill", soft_text}});
  }
  svg.element("line",
              {{"x1", frame.left}, {"x2", right}, {"y1", bottom}, {"y2", bottom}, {"stroke", "#9aa5b1"}});
  svg.text(frame.left + frame.width / 2, bottom + 42, "updates",
           {{"text-anchor", "middle"}, {"fill", soft_text}});
  if (has_losses)
    svg.text(frame.left - 44, frame.top - 14, "loss (nats per " + options.unit + ")", {{"fill", soft_text}});
  if (!curves.metric.empty()) {
    const std::string name = options.metric.name + (options.metric.share ? ", %" : "");
    svg.text(right + 40, frame.top - 14, name, {{"text-anchor", "end"}, {"fill", metric_colour}});
  }
}

void draw_best(Svg& svg, const Frame& frame, const Series& points, const CurveMetric& metric) {
  if (points.empty()) return;
  const auto best = *std::ranges::max_element(
      points, [&](Point a, Point b) { return metric.falls ? a.y > b.y : a.y < b.y; });
  const double x = frame.x(best.x), y = frame.y(frame.metrics, best.y);
  svg.element("circle", {{"cx", x},
                         {"cy", y},
                         {"r", 5.5},
                         {"fill", "#ffffff"},
                         {"stroke", metric_colour},
                         {"stroke-width", 2.5}});
  std::string text = "best ";
  text.append(fixed(best.y, 1))
      .append(metric.share ? " %" : "")
      .append(" at ")
      .append(with_commas(std::llround(best.x)));
  const bool fits_left = x - frame.left > 170;
  const bool below = metric.falls ? y + 40 < frame.top + frame.height : y - frame.top < 40;
  svg.text(fits_left ? x - 4 : x + 10, below ? y + 24 : y - 13, text,
           {{"text-anchor", fits_left ? "end" : "start"},
            {"font-weight", "600"},
            {"fill", metric_colour},
            {"stroke", "#ffffff"},
            {"stroke-width", 4},
            {"paint-order", "stroke"}});
}

void draw_legend(Svg& svg, double x, double y, const Curves& curves, const CurveMetric& metric) {
  const auto entry = [&](const Series& points, const char* colour, const std::string& name, double length) {
    if (points.empty()) return;
    svg.element("line", {{"x1", x},
                         {"x2", x + 22},
                         {"y1", y - 4},
                         {"y2", y - 4},
                         {"stroke", colour},
                         {"stroke-width", 3},
                         {"stroke-linecap", "round"}});
    svg.text(x + 30, y, name, {{"fill", ink_text}});
    x += 30 + length;
  };
  entry(curves.loss, loss_colour, "training loss", 106);
  entry(curves.validation, validation_colour, "validation loss", 118);
  entry(curves.metric, metric_colour, "validation " + metric.name, 130);
}

}  // namespace

std::string learning_curve_svg(std::vector<LearningPoint> points, const LearningCurveOptions& options) {
  std::stable_sort(points.begin(), points.end(),
                   [](const auto& a, const auto& b) { return a.update < b.update; });
  Curves curves;
  curves.loss = thinned(series(points, &LearningPoint::loss));
  curves.smooth_loss = smoothed(curves.loss);
  curves.validation = thinned(series(points, &LearningPoint::validation_loss));
  curves.metric = series(points, &LearningPoint::metric);
  if (options.metric.share)
    for (auto& point : curves.metric) point.y *= 100;

  const double width = std::max(options.width, 480.0), height = std::max(options.height, 320.0);
  const double legend_y = options.subtitle.empty() ? 72 : 94, top = legend_y + 46;
  Frame frame{.left = 76, .top = top, .width = width - 76 - 72, .height = height - top - 68};
  choose_axes(frame, curves);

  Svg svg(width, height, options.title, "#ffffff");
  svg.open("g", {{"font-size", 13}});
  svg.text(32, 42, options.title, {{"font-size", 21}, {"font-weight", "600"}, {"fill", ink_text}});
  if (!options.subtitle.empty())
    svg.text(32, 65, options.subtitle, {{"font-size", 13.5}, {"fill", soft_text}});
  const bool empty = curves.loss.empty() && curves.validation.empty() && curves.metric.empty();
  if (empty) {
    svg.text(width / 2, height / 2, "nothing measured yet",
             {{"text-anchor", "middle"}, {"font-size", 16}, {"fill", soft_text}});
    return svg.finish();
  }
  draw_grid(svg, frame, curves, options);
  draw_line(svg, frame, frame.losses, curves.loss, loss_colour, 1.2, 0.35);
  draw_line(svg, frame, frame.losses, curves.smooth_loss, loss_colour, 2.4);
  if (curves.loss.size() == 1) draw_dots(svg, frame, frame.losses, curves.loss, loss_colour);
  draw_line(svg, frame, frame.losses, curves.validation, validation_colour, 2.4);
  draw_dots(svg, frame, frame.losses, curves.validation, validation_colour);
  draw_line(svg, frame, frame.metrics, thinned(curves.metric), metric_colour, 2.4);
  draw_dots(svg, frame, frame.metrics, curves.metric, metric_colour);
  draw_best(svg, frame, curves.metric, options.metric);
  draw_legend(svg, 32, legend_y, curves, options.metric);
  return svg.finish();
}

}  // namespace fovea::views
