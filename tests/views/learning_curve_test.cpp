#include "fovea/views/learning_curve.h"

#include <gtest/gtest.h>

#include <clocale>
#include <cmath>

#include "fovea/views/axis.h"
#include "fovea/views/svg.h"
#include "tests/views/rendered.h"

namespace fovea::views {
namespace {

using namespace std::string_literals;

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

std::vector<LearningPoint> training() {
  std::vector<LearningPoint> points;
  for (int update = 100; update <= 4000; update += 100) {
    LearningPoint point{.update = update, .loss = 2 + 7 * std::exp(-update / 800.0)};
    if (update % 500 == 0) point.validation_loss = *point.loss - 0.2;
    if (update % 500 == 0) point.metric = update == 3000 ? 38.27 : 37.0 * (1 - std::exp(-update / 900.0));
    points.push_back(point);
  }
  return points;
}

TEST(LearningCurve, DrawsWhatWasMeasured) {
  const auto svg =
      learning_curve_svg(training(), {.title = "multi30k-en-de", .subtitle = "transformer-tiny"});
  EXPECT_EQ(test::xml_fault(svg), "");
  EXPECT_EQ(count(svg, "<path "), 4u);  // training loss twice (pale and smoothed), validation loss, BLEU
  for (const char* part : {">multi30k-en-de</text>", ">transformer-tiny</text>", ">training loss</text>",
                           ">validation loss</text>", ">validation BLEU</text>", ">best 38.3 at 3,000</text>",
                           ">4,000</text>", ">updates</text>"}) {
    EXPECT_EQ(count(svg, part), 1u) << part;
  }
}

TEST(LearningCurve, LeavesOutWhatWasNotMeasured) {
  auto points = training();
  for (auto& point : points) point.metric.reset();
  const auto svg = learning_curve_svg(points);
  EXPECT_EQ(count(svg, "BLEU"), 0u);
  EXPECT_EQ(count(svg, "<path "), 3u);
  for (auto& point : points) point = {.update = point.update, .metric = 1.0};
  EXPECT_EQ(count(learning_curve_svg(points), "loss"), 0u);
}

TEST(LearningCurve, NamesTheMetricAndTheUnit) {
  std::vector<LearningPoint> points{{.update = 100, .loss = 0.7, .metric = 0.31},
                                    {.update = 200, .loss = 0.5, .metric = 0.2513},
                                    {.update = 300, .loss = 0.4, .metric = 0.28}};
  LearningCurveOptions options{.unit = "text", .metric = {.name = "accuracy", .share = true}};
  const auto rising = learning_curve_svg(points, options);
  for (const char* part : {">loss (nats per text)</text>", ">accuracy, %</text>",
                           ">validation accuracy</text>", ">best 31.0 % at 100</text>"})
    EXPECT_EQ(count(rising, part), 1u) << part;
  EXPECT_EQ(count(rising, "BLEU"), 0u);
  options.metric = {.name = "wrong sequences", .share = true, .falls = true};
  EXPECT_EQ(count(learning_curve_svg(points, options), ">best 25.1 % at 200</text>"), 1u);
}

TEST(LearningCurve, TheOrderOfPointsDoesNotMatter) {
  auto points = training();
  const auto forward = learning_curve_svg(points);
  std::reverse(points.begin(), points.end());
  EXPECT_EQ(learning_curve_svg(points), forward);
}

TEST(LearningCurve, SurvivesAnything) {
  EXPECT_NE(learning_curve_svg({}).find("nothing measured yet"), std::string::npos);
  EXPECT_EQ(test::xml_fault(learning_curve_svg({})), "");
  const std::vector<std::vector<LearningPoint>> odd{
      {{.update = 0, .loss = 0.0, .metric = 0.0}},
      {{.update = 7, .loss = 3.0}, {.update = 7, .loss = 3.0}},
      {{.update = 1, .loss = NAN},
       {.update = 2, .loss = INFINITY},
       {.update = 3, .validation_loss = -INFINITY}},
      {{.update = 1, .loss = 1e300}, {.update = 2, .loss = -1e300}, {.update = INT64_MAX, .metric = 1e-300}},
      {{.update = -5, .loss = 1e-12}, {.update = 5, .loss = 1.0000001e-12}},
  };
  for (const auto& points : odd) {
    const auto svg = learning_curve_svg(points, {.width = -1, .height = 0});
    EXPECT_EQ(test::xml_fault(svg), "");
    EXPECT_EQ(count(svg, "nan"), 0u);
    EXPECT_LT(svg.size(), 100000u);
  }
  std::vector<LearningPoint> many;
  for (int i = 0; i < 200000; ++i) many.push_back({.update = i, .loss = 1.0 + i % 3});
  EXPECT_LT(learning_curve_svg(many).size(), 100000u);
}

TEST(LearningCurve, TitlesCannotBecomeMarkup) {
  const auto svg = learning_curve_svg(training(), {.title = "<script>", .subtitle = "\"><img onerror=x>"});
  EXPECT_EQ(test::xml_fault(svg), "");
  EXPECT_EQ(count(svg, "<script"), 0u);
  EXPECT_EQ(count(svg, "<img"), 0u);
}

TEST(LearningCurve, I15_DoesNotDependOnTheLocale) {
  const std::string saved = std::setlocale(LC_ALL, nullptr);
  const auto in_c = learning_curve_svg(training());
  for (const char* locale : {"tr_TR.UTF-8", "de_DE.UTF-8", ""}) {
    if (!std::setlocale(LC_ALL, locale)) continue;
    EXPECT_EQ(learning_curve_svg(training()), in_c);
  }
  std::setlocale(LC_ALL, saved.c_str());
}

TEST(Svg, Escapes) {
  EXPECT_EQ(escape_xml("a<b>&\"'"), "a&lt;b&gt;&amp;&quot;&#39;");
  EXPECT_EQ(escape_xml("\x00\x1b\xff\t\xef\xbf\xbf ü😀"s), "\uFFFD\uFFFD\uFFFD\t\uFFFD ü😀");
  EXPECT_EQ(svg_number(1.0), "1");
  EXPECT_EQ(svg_number(-0.001), "0");
  EXPECT_EQ(svg_number(2.345), "2.35");
  EXPECT_EQ(svg_number(NAN), "0");
}

TEST(Axis, RoundTicks) {
  const auto axis = Axis::around(1.87, 9.4, 6);
  EXPECT_EQ(axis.ticks(), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(axis.label(4), "4");
  const auto fine = Axis::around(1.21, 1.38, 6);
  EXPECT_EQ(fine.label(fine.ticks().front()), "1.20");
  EXPECT_EQ(Axis::between(0, 8000, 8).label(8000), "8,000");
  EXPECT_EQ(with_commas(-1234567), "-1,234,567");
  EXPECT_EQ(with_commas(999), "999");
}

TEST(Axis, TwoAxesShareAGrid) {
  for (const double low : {0.0, 11.9, 37.2, -3.0, 1e-5}) {
    for (const double span : {0.0, 1e-3, 0.7, 3.0, 28.3, 1e6}) {
      for (const int intervals : {2, 4, 5, 6, 9}) {
        const auto axis = Axis::divided(low, low + span, intervals);
        EXPECT_EQ(axis.ticks().size(), static_cast<std::size_t>(intervals) + 1) << low << " " << span;
        EXPECT_LE(axis.low, low + 1e-9);
        EXPECT_GE(axis.high, (low + span) * (1 - 1e-9));
      }
    }
  }
}

}  // namespace
}  // namespace fovea::views
