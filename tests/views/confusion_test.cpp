#include "fovea/views/confusion.h"

#include <gtest/gtest.h>

#include "tests/base/scratch.h"

namespace fovea::views {
namespace {

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(Confusion, HasACellForEachPairAndItsCount) {
  const auto svg = confusion_svg({{"yes", "<no>"}, {12345, 0, 7, 8}});
  EXPECT_EQ(count(svg, "rx=\"3\""), 4U);
  EXPECT_EQ(count(svg, "12,345"), 1U);
  EXPECT_EQ(count(svg, "&lt;no&gt;"), 2U);
  EXPECT_EQ(svg.find("<no>"), std::string::npos);
}

TEST(Confusion, DrawsNoMoreClassesThanCanBeSeen) {
  const std::size_t classes = 70;
  ConfusionTable table{std::vector<std::string>(classes, "c"),
                       std::vector<std::int64_t>(classes * classes, 1)};
  EXPECT_EQ(count(confusion_svg(table), "rx=\"3\""), 3600U);
  table.counts.pop_back();
  fovea::test::expect_error(
      Error::Kind::bug, [&] { confusion_svg(table); }, "70 classes");
}

}  // namespace
}  // namespace fovea::views
