#include "fovea/views/terminal_picture.h"

#include <gtest/gtest.h>

#include "fovea/views/heat_map.h"
#include "tests/views/rendered.h"

namespace fovea::views {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(TerminalPicture, ShowsColoursAndWords) {
  const auto svg = terminal_picture_svg("$ fovea\n\x1b[0;1;38;2;255;0;16;48;5;17m 75 \x1b[0m<end>\n", "zwei");
  EXPECT_EQ(test::xml_fault(svg), "");
  EXPECT_TRUE(contains(svg, ">fovea</text>"));
  EXPECT_TRUE(contains(svg, "fill=\"#ff0010\" font-weight=\"600\""));
  EXPECT_TRUE(contains(svg, "fill=\"#00005f\""));  // colour 17 of the cube
  EXPECT_TRUE(contains(svg, ">75</text>"));
  EXPECT_TRUE(contains(svg, ">&lt;end&gt;</text>"));
  EXPECT_TRUE(contains(svg, ">zwei</text>"));
}

TEST(TerminalPicture, OfAHeatMapInEveryDepth) {
  const AttentionMatrix matrix{{"▁Two", "▁men"}, {"▁Zwei", "▁你好"}, {0.9f, 0.1f, 0.2f, 0.8f}};
  for (const auto depth :
       {ColourDepth::none, ColourDepth::sixteen, ColourDepth::indexed, ColourDepth::true_colour}) {
    const auto svg = terminal_picture_svg(heat_map(matrix, {.colours = depth, .width = 80}));
    EXPECT_EQ(test::xml_fault(svg), "");
    EXPECT_TRUE(contains(svg, ">Zwei</text>"));
    EXPECT_FALSE(contains(svg, "\x1b"));
  }
}

TEST(TerminalPicture, SurvivesBrokenSequences) {
  for (const char* text : {"", "\n", "\x1b", "\x1b[", "\x1b[38;2;1m", "\x1b[999999999999;5mx", "\x1b[;;;mx",
                           "\x1b[2Jx", "\x1b]0;t\x07", "\xff\x1b[38;5;256mx", "\x1b[48;5mx"}) {
    EXPECT_EQ(test::xml_fault(terminal_picture_svg(text)), "") << text;
  }
}

}  // namespace
}  // namespace fovea::views
