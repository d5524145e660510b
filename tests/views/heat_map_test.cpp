#include "fovea/views/heat_map.h"

#include <gtest/gtest.h>

#include <clocale>
#include <cmath>

#include "fovea/base/error.h"
#include "fovea/views/heat_map_svg.h"
#include "tests/views/rendered.h"

namespace fovea::views {
namespace {

using test::screen;

AttentionMatrix diagonal(std::vector<std::string> source, std::vector<std::string> target) {
  AttentionMatrix matrix{std::move(source), std::move(target), {}};
  for (std::size_t t = 0; t < matrix.target.size(); ++t) {
    for (std::size_t s = 0; s < matrix.source.size(); ++s) matrix.weights.push_back(s == t ? 0.75f : 0.02f);
  }
  return matrix;
}

AttentionMatrix bicycles() {
  return diagonal({"▁Two", "▁men", "▁ride", "▁bicycles", "."},
                  {"▁Zwei", "▁Männer", "▁fahren", "▁Fahrrad", "."});
}

AttentionMatrix words(std::size_t sources, std::size_t targets) {
  std::vector<std::string> source, target;
  for (std::size_t i = 0; i < sources; ++i) source.push_back("▁word" + std::string(i % 7, 'x'));
  for (std::size_t i = 0; i < targets; ++i) target.push_back("▁Wort" + std::string(i % 5, 'o'));
  return diagonal(source, target);
}

TEST(HeatMap, ShortSentencesHaveTheirWordsAcross) {
  const auto lines = screen(heat_map(bicycles(), {.width = 80}, {.legend = false}));
  ASSERT_EQ(lines.size(), 6u);
  EXPECT_EQ(lines[0], "           Two       men       ride    bicycles     .");
  EXPECT_EQ(lines[1], "   Zwei ██████████    ·         ·         ·         ·");
}

// The picture above, column by column: the strong cell of row t is under the t-th word.
TEST(HeatMap, StrongCellsStandUnderTheirWords) {
  const auto lines =
      screen(heat_map(bicycles(), {.charset = Charset::ascii, .width = 80}, {.legend = false}));
  const std::vector<std::string> sources{"Two", "men", "ride", "bicycles", "."};
  std::size_t from = 0;
  for (std::size_t t = 0; t < sources.size(); ++t) {
    const auto word = lines[0].find(sources[t], from);
    const auto strong = lines[t + 1].find('@'), end = lines[t + 1].rfind('@');
    ASSERT_NE(strong, std::string::npos) << lines[t + 1];
    EXPECT_LE(strong, word);
    EXPECT_GE(end, word + sources[t].size() - 1);
    from = word + 1;
  }
}

TEST(HeatMap, ColoursAndPercentages) {
  const auto true_colour = heat_map(bicycles(), {.colours = ColourDepth::true_colour, .width = 80});
  EXPECT_NE(true_colour.find("\x1b[0;38;2;"), std::string::npos);
  EXPECT_NE(true_colour.find(";48;2;"), std::string::npos);
  EXPECT_NE(true_colour.find(" 75 "), std::string::npos);
  const auto indexed = heat_map(bicycles(), {.colours = ColourDepth::indexed, .width = 80});
  EXPECT_NE(indexed.find(";48;5;"), std::string::npos);
  EXPECT_EQ(indexed.find(";48;2;"), std::string::npos);
  const auto sixteen = heat_map(bicycles(), {.colours = ColourDepth::sixteen, .width = 80});
  EXPECT_NE(sixteen.find("\x1b[0;33m█"), std::string::npos);
  EXPECT_EQ(sixteen.find(";48"), std::string::npos);
  const auto bare = heat_map(bicycles(), {.colours = ColourDepth::true_colour, .width = 80},
                             {.numbers = false, .legend = false});
  EXPECT_EQ(bare.find(" 75 "), std::string::npos);
}

TEST(HeatMap, I15_NoColourMeansNoEscapeSequence) {
  const auto text = heat_map(bicycles(), {.colours = ColourDepth::none, .width = 80});
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
}

TEST(HeatMap, I15_NeverWiderThanTheTerminal) {
  const std::vector<AttentionMatrix> matrices{
      bicycles(),   words(1, 1),  words(12, 13),
      words(40, 3), words(3, 70), diagonal({"你好", "😀", "e\u0301"}, {"长长长长长长长长长长长长", "b"})};
  for (const auto& matrix : matrices) {
    for (const auto charset : {Charset::ascii, Charset::unicode}) {
      for (const auto colours : {ColourDepth::none, ColourDepth::sixteen, ColourDepth::true_colour}) {
        for (const int width : {1, 2, 3, 7, 15, 16, 17, 20, 33, 40, 79, 80, 200}) {
          const auto lines =
              screen(heat_map(matrix, {.colours = colours, .charset = charset, .width = width}));
          EXPECT_FALSE(lines.empty());
          EXPECT_LE(test::widest(lines), width) << "width " << width;
        }
      }
    }
  }
}

TEST(HeatMap, I15_DoesNotDependOnTheLocale) {
  const std::string saved = std::setlocale(LC_ALL, nullptr);
  const auto in_c = heat_map(bicycles(), {.colours = ColourDepth::true_colour, .width = 60});
  const auto svg_in_c = heat_map_svg(bicycles());
  for (const char* locale : {"tr_TR.UTF-8", "de_DE.UTF-8", "C.UTF-8", ""}) {
    if (!std::setlocale(LC_ALL, locale)) continue;
    EXPECT_EQ(heat_map(bicycles(), {.colours = ColourDepth::true_colour, .width = 60}), in_c);
    EXPECT_EQ(heat_map_svg(bicycles()), svg_in_c);
  }
  std::setlocale(LC_ALL, saved.c_str());
}

TEST(HeatMap, AsciiIsAscii) {
  for (const int width : {5, 18, 30, 60, 100}) {
    const auto text =
        heat_map(diagonal({"Männer", "你好", "▁", "😀"}, {"größe", "мир", "…"}),
                 {.colours = ColourDepth::true_colour, .charset = Charset::ascii, .width = width});
    for (const char c : text) ASSERT_LT(static_cast<unsigned char>(c), 0x80u);
  }
}

TEST(HeatMap, TwelveTokensFitEightyColumnsInOnePanel) {
  const auto lines = screen(heat_map(words(12, 12), {.width = 80}, {.legend = false}));
  EXPECT_EQ(lines.size(), 24u);  // twelve steps down, twelve rows
  EXPECT_NE(lines[0].find("╭╴word"), std::string::npos);
}

TEST(HeatMap, LongSentencesContinueInFurtherPanels) {
  const auto lines = screen(heat_map(words(50, 2), {.width = 60}, {.legend = false}));
  int rows = 0, strong = 0;
  for (const auto& line : lines) {
    rows += line.find("Wort") != std::string::npos ? 1 : 0;
    strong += line.find("█") != std::string::npos ? 1 : 0;
  }
  EXPECT_EQ(rows, 4);    // two rows in two panels
  EXPECT_EQ(strong, 2);  // both strong cells are in the first
}

TEST(HeatMap, SaysWhatItLeavesOut) {
  const auto lines = screen(heat_map(words(3, 10000), {.width = 80}));
  EXPECT_LT(lines.size(), 70u);
  EXPECT_EQ(lines.back(), "first 60 of 10000 target tokens");
}

TEST(HeatMap, HostileTokensAreHarmless) {
  const auto matrix = diagonal({"\x1b]0;title\x07", "\x1b[2J", "\xff\xfe", "a\nb"}, {"\r\x9b", "\u202e", ""});
  for (const int width : {8, 30, 80}) {
    const auto lines = screen(heat_map(matrix, {.colours = ColourDepth::true_colour, .width = width}));
    EXPECT_LE(test::widest(lines), width);
  }
}

TEST(HeatMap, OddWeightsDoNotBreakIt) {
  AttentionMatrix matrix{{"a", "b", "c"}, {"x", "y"}, {NAN, INFINITY, -1.0f, 5.0f, -INFINITY, 1e-30f}};
  EXPECT_FALSE(heat_map(matrix, {.colours = ColourDepth::true_colour, .width = 80}).empty());
  EXPECT_EQ(test::xml_fault(heat_map_svg(matrix)), "");
  EXPECT_EQ(heat_map({}, {.width = 80}), "");
  EXPECT_EQ(heat_map({{}, {"x"}, {}}, {.width = 80}), "");
  EXPECT_THROW(heat_map({{"a"}, {"x"}, {}}, {.width = 80}), Error);
  EXPECT_THROW(heat_map_svg({{"a"}, {"x"}, {}}), Error);
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

TEST(HeatMap, TwoTextsAreNamed) {
  auto pair = diagonal({"▁one", "▁two", "▁three", "▁four"}, {"▁one", "▁two", "▁three", "▁four"});
  pair.source_second = pair.target_second = 2;
  const auto lines = screen(heat_map(pair, {.width = 60}, {.legend = false}));
  ASSERT_EQ(lines.size(), 8u);
  EXPECT_EQ(lines[0], "      first ─────── second ───────");
  EXPECT_EQ(lines[1].find("one") < lines[1].find("three"), true);
  EXPECT_EQ(lines[2].find("first ─"), 0u);
  EXPECT_EQ(lines[5].find("second ─"), 0u);
  EXPECT_NE(lines[6].find("three"), std::string::npos);
  for (int width = 1; width < 90; ++width) {
    auto longer = words(30, 12);
    longer.source_second = 11;
    longer.target_second = 5;
    EXPECT_LE(test::widest(screen(heat_map(longer, {.width = width}))), width);
  }
}

TEST(HeatMapSvg, TwoTextsAreNamed) {
  auto pair = bicycles();
  pair.source_second = 3;
  const auto svg = heat_map_svg(pair, "t");
  EXPECT_EQ(test::xml_fault(svg), "");
  EXPECT_NE(svg.find(">second</text>"), std::string::npos);
  EXPECT_EQ(heat_map_svg(bicycles(), "t").find(">second</text>"), std::string::npos);
}

TEST(HeatMapSvg, HasACellForEveryPair) {
  const auto svg = heat_map_svg(bicycles(), "Who looks at whom");
  EXPECT_EQ(test::xml_fault(svg), "");
  EXPECT_EQ(count(svg, "rx=\"3\""), 25u);
  EXPECT_EQ(count(svg, ">75</text>"), 5u);
  EXPECT_EQ(count(svg, ">Männer</text>"), 1u);
  EXPECT_EQ(count(svg, "<title>Who looks at whom</title>"), 1u);
  EXPECT_EQ(test::xml_fault(heat_map_svg({})), "");
  EXPECT_EQ(count(heat_map_svg(words(3, 10000)), "rx=\"3\""), 300u);
}

TEST(HeatMapSvg, TokensCannotBecomeMarkup) {
  const auto svg = heat_map_svg(diagonal({"<script>alert(1)</script>", "\"onload=\"x", "]]>", "&lt;"},
                                         {"</text><a href='javascript:x'>", "\x01\xff", "</svg>"}),
                                "<b>\"title\"</b>");
  EXPECT_EQ(test::xml_fault(svg), "");
  EXPECT_EQ(count(svg, "<script"), 0u);
  EXPECT_EQ(count(svg, "<a "), 0u);
  EXPECT_EQ(count(svg, "</svg>"), 1u);
  EXPECT_EQ(count(svg, "&amp;lt;"), 1u);
}

}  // namespace
}  // namespace fovea::views
