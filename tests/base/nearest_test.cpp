#include "fovea/base/nearest.h"

#include <gtest/gtest.h>

namespace fovea {
namespace {

TEST(EditDistance, CountsInsertionsDeletionsReplacementsAndSwaps) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("abc", ""), 3u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("updats", "updates"), 1u);
  EXPECT_EQ(edit_distance("ab", "ba"), 1u);
  EXPECT_EQ(edit_distance("ca", "abc"), 3u);  // optimal string alignment: no part is edited twice
}

TEST(Nearest, TakesTheFirstOfTheNearestAndNothingFar) {
  const std::vector<std::string> words = {"beam", "bean", "warmup"};
  EXPECT_EQ(nearest("beem", words), "beam");
  EXPECT_EQ(nearest("bea", words), "beam");
  EXPECT_EQ(nearest("warump", words), "warmup");
  EXPECT_EQ(nearest("xyz", words), "");
  EXPECT_EQ(nearest("beam", {}), "");
}

}  // namespace
}  // namespace fovea
