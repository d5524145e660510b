#include "fovea/views/bleu_by_length.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/views/rendered.h"

namespace fovea::views {
namespace {

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

std::vector<LengthCurve> two_systems() {
  return {{"no attention", {{4, 20, 300}, {9, 14, 500}, {15, 6, 120}}},
          {"additive", {{4, 28, 300}, {9, 29.5, 500}, {15, 27, 120}}}};
}

TEST(BleuByLengthCurve, DrawsACurveASystemWithItsNameAndTheNumbersOfSentences) {
  const auto svg = bleu_by_length_svg(two_systems(), {.subtitle = "test.en"});
  EXPECT_EQ(test::xml_fault(svg), "");
  EXPECT_EQ(count(svg, "<path "), 2u);
  EXPECT_EQ(count(svg, "<circle "), 3u + 1);      // marks of the first system, and the legend's
  EXPECT_EQ(count(svg, "height=\"8\""), 3u + 1);  // squares of the second
  for (const char* part : {">BLEU by source length</text>", ">test.en</text>", ">no attention</text>",
                           ">additive</text>", ">500</text>", ">BLEU</text>", ">30</text>"})
    EXPECT_EQ(count(svg, part), 1u) << part;
}

TEST(BleuByLengthCurve, HigherIsBetter) {
  const auto svg = bleu_by_length_svg({{"a", {{5, 10, 1}, {10, 30, 1}}}});
  const auto at = svg.find("<path d=\"M");
  ASSERT_NE(at, std::string::npos);
  double x1, y1, x2, y2;
  ASSERT_EQ(std::sscanf(svg.c_str() + at, "<path d=\"M%lf %lfL%lf %lf\"", &x1, &y1, &x2, &y2), 4);
  EXPECT_LT(x1, x2);
  EXPECT_GT(y1, y2);
}

TEST(BleuByLengthCurve, NamesCannotBecomeMarkup) {
  const auto svg = bleu_by_length_svg({{"<script>&\"", {{5, 10, 1}}}}, {.title = "</svg>"});
  EXPECT_EQ(test::xml_fault(svg), "");
  EXPECT_EQ(count(svg, "<script"), 0u);
}

TEST(BleuByLengthCurve, OddCurves) {
  EXPECT_EQ(count(bleu_by_length_svg({}), ">nothing measured</text>"), 1u);
  EXPECT_EQ(count(bleu_by_length_svg({{"a", {{NAN, 1, 1}, {1, INFINITY, 1}}}}), ">nothing measured</text>"),
            1u);
  for (const auto& points :
       std::vector<std::vector<LengthCurve::Point>>{{{5, 0, 0}},
                                                    {{5, 100, 1}},
                                                    {{0.001, 50, 3}, {0.002, 51, 3}},
                                                    {{1e9, 3, 1}, {2e9, 4, 1000000000}}}) {
    const auto svg = bleu_by_length_svg({{"a", points}});
    EXPECT_EQ(test::xml_fault(svg), "");
    EXPECT_EQ(count(svg, "nan"), 0u);
    EXPECT_EQ(count(svg, "inf"), 0u);
  }
}

TEST(BleuByLengthCurve, ManySystemsHaveLegendsInRowsAndMarksByTurns) {
  std::vector<LengthCurve> curves;
  for (int i = 0; i < 12; ++i)
    curves.push_back({"a system with a long name " + std::to_string(i), {{5, 10.0 + i, 1}}});
  const auto svg = bleu_by_length_svg(curves);
  EXPECT_EQ(test::xml_fault(svg), "");
  for (const auto& curve : curves) EXPECT_EQ(count(svg, ">" + curve.name + "</text>"), 1u);
}

}  // namespace
}  // namespace fovea::views
