#include "fovea/text/symmetrise.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "fovea/base/error.h"
#include "fovea/base/random.h"

namespace fovea::text {
namespace {

std::string both(const Alignment& forward, const Alignment& backward, std::string_view how) {
  return pharaoh(symmetrise(forward, backward, parse_symmetrisation(how)));
}

// One link in common, 1-1; beside it 1-2, which gives target 2 its first link; diagonally 2-3 beyond that;
// far off 5-1 (target 1 has a link, source 5 has none) and 7-7 (both free).
const Alignment forward{{1, 1}, {1, 2}, {2, 3}, {5, 1}}, backward{{1, 1}, {7, 7}};

TEST(Symmetrise, EachWayAddsWhatThePaperSays) {
  EXPECT_EQ(both(forward, backward, "intersection"), "1-1");
  EXPECT_EQ(both(forward, backward, "union"), "1-1 1-2 2-3 5-1 7-7");
  EXPECT_EQ(both(forward, backward, "grow"), "1-1 1-2");
  EXPECT_EQ(both(forward, backward, "grow-diag"), "1-1 1-2 2-3");
  EXPECT_EQ(both(forward, backward, "grow-diag-final"), "1-1 1-2 2-3 5-1 7-7");
  EXPECT_EQ(both(forward, backward, "grow-diag-final-and"), "1-1 1-2 2-3 7-7");
}

TEST(Symmetrise, ALinkBetweenLinkedWordsIsNotGrown) {
  // 0-1 lies beside 0-0 and 1-1, but both its words have links.
  EXPECT_EQ(both({{0, 0}, {1, 1}, {0, 1}}, {{0, 0}, {1, 1}}, "grow-diag-final"), "0-0 1-1");
  EXPECT_EQ(both({{0, 0}, {1, 1}, {0, 1}}, {{0, 0}, {1, 1}}, "union"), "0-0 0-1 1-1");
}

TEST(Symmetrise, NothingAndTheSame) {
  for (const std::string& how : symmetrisation_names()) {
    EXPECT_EQ(both({}, {}, how), "");
    EXPECT_EQ(both(forward, forward, how), pharaoh(forward)) << how;
  }
}

// The pseudocode of the paper over a grid, written down as it stands there.
Alignment grown_by_the_book(const Alignment& e2f, const Alignment& f2e, int words) {
  Alignment all = e2f, links;
  all.insert(f2e.begin(), f2e.end());
  for (const Link link : e2f)
    if (f2e.contains(link)) links.insert(link);
  const auto has_e = [&](int e) {
    for (const Link l : links)
      if (l.target == e) return true;
    return false;
  };
  const auto has_f = [&](int f) {
    for (const Link l : links)
      if (l.source == f) return true;
    return false;
  };
  const int around[8][2] = {{-1, 0}, {0, -1}, {1, 0}, {0, 1}, {-1, -1}, {-1, 1}, {1, -1}, {1, 1}};
  for (bool again = true; again;) {
    again = false;
    for (int e = 0; e < words; ++e)
      for (int f = 0; f < words; ++f) {
        if (!links.contains({f, e})) continue;
        for (const auto& step : around) {
          const Link near{f + step[0], e + step[1]};
          if ((!has_e(near.target) || !has_f(near.source)) && all.contains(near))
            again |= links.insert(near).second;
        }
      }
  }
  for (const Alignment* direction : {&e2f, &f2e})
    for (const Link link : *direction)
      if (!has_e(link.target) && !has_f(link.source)) links.insert(link);
  return links;
}

TEST(Symmetrise, RandomAlignmentsLieBetweenIntersectionAndUnionAndFollowThePseudocode) {
  constexpr std::int32_t words = 6;
  int same = 0;
  for (std::uint64_t trial = 0; trial < 200; ++trial) {
    const RandomKey key = RandomKey::of(5, static_cast<std::uint32_t>(trial), 77);
    Alignment one, other;
    for (std::uint64_t i = 0; i < 9; ++i) {
      one.insert({static_cast<std::int32_t>(below(key, 4 * i, words)),
                  static_cast<std::int32_t>(below(key, 4 * i + 1, words))});
      other.insert({static_cast<std::int32_t>(below(key, 4 * i + 2, words)),
                    static_cast<std::int32_t>(below(key, 4 * i + 3, words))});
    }
    const auto found = symmetrise(one, other, Symmetrisation::grow_diag_final_and);
    const auto least = symmetrise(one, other, Symmetrisation::intersection);
    const auto most = symmetrise(one, other, Symmetrisation::union_of);
    EXPECT_TRUE(std::ranges::includes(found, least));
    EXPECT_TRUE(std::ranges::includes(most, found));
    same += found == grown_by_the_book(one, other, words);
  }
  EXPECT_EQ(same, 200);
}

TEST(Symmetrise, UnknownNamesAreAnsweredWithTheKnown) {
  try {
    parse_symmetrisation("grow-all");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::usage);
    EXPECT_NE(std::string(error.what()).find("'grow-all'"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("grow-diag-final-and"), std::string::npos);
  }
}

}  // namespace
}  // namespace fovea::text
