#include "fovea/metrics/error_rate.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "fovea/base/error.h"
#include "fovea/base/random.h"
#include "fovea/metrics/edit_distance.h"

namespace fovea::metrics {
namespace {

std::int64_t by_definition(std::u32string_view a, std::u32string_view b) {
  if (a.empty() || b.empty()) return static_cast<std::int64_t>(a.size() + b.size());
  const auto rest_a = a.substr(1), rest_b = b.substr(1);
  return std::min({by_definition(rest_a, rest_b) + (a[0] != b[0]), by_definition(rest_a, b) + 1,
                   by_definition(a, rest_b) + 1});
}

TEST(EditDistance, IsWhatItsDefinitionSays) {
  const auto key = RandomKey::of(1, 0, site::shuffle);
  std::uint64_t at = 0;
  const auto draw = [&] {
    std::u32string out(below(key, ++at, 7), U' ');
    for (char32_t& c : out) c = U'a' + below(key, ++at, 3);
    return out;
  };
  for (int i = 0; i < 300; ++i) {
    const std::u32string a = draw(), b = draw();
    ASSERT_EQ(edit_distance(a, b), by_definition(a, b));
  }
}

TEST(ErrorRate, ByHand) {
  const auto sum = error_rate({"HH AH L OW", "K AE", "", "B  EY K "},
                              {{"HH EH L OW"}, {"K AE B"}, {"AH"}, {"B AH K", "B EY K"}});
  EXPECT_EQ(sum.edits, 1 + 1 + 1 + 0);
  EXPECT_EQ(sum.symbols, 4 + 3 + 1 + 3);
  EXPECT_EQ(sum.wrong, 3);
  EXPECT_EQ(sum.sequences, 4);
  EXPECT_DOUBLE_EQ(sum.symbol_rate(), 3.0 / 11.0);
  EXPECT_DOUBLE_EQ(sum.sequence_rate(), 0.75);
}

TEST(ErrorRate, TheNearestFormCounts) {
  const std::vector<std::string> forms{"A B C D", "A X", "A Y"};
  const auto one = error_rate("A Z", forms);
  EXPECT_EQ(one.edits, 1);
  EXPECT_EQ(one.symbols, 2);
  EXPECT_EQ(one.wrong, 1);
}

TEST(ErrorRate, NothingToScoreIsRefused) {
  EXPECT_THROW(error_rate(std::vector<std::string>{}, {}), Error);
  EXPECT_THROW(error_rate(std::vector<std::string>{"A"}, {}), Error);
  EXPECT_THROW(error_rate(std::vector<std::string>{"A"}, {{}}), Error);
  EXPECT_EQ(error_rate(std::vector<std::string>{""}, {{""}}).symbol_rate(), 0.0);
  EXPECT_EQ(error_rate(std::vector<std::string>{"A"}, {{""}}).symbol_rate(), 1.0);
}

TEST(ErrorRate, PairsOfOneSourceAreItsForms) {
  const auto grouped = group_by_source({"a", "b", "a"}, {"1", "2", "3"});
  EXPECT_EQ(grouped.sources, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(grouped.references, (std::vector<std::vector<std::string>>{{"1", "3"}, {"2"}}));
}

}  // namespace
}  // namespace fovea::metrics
