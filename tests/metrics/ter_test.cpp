#include "fovea/metrics/ter.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "fovea/base/error.h"
#include "fovea/metrics/edit_distance.h"

namespace fovea::metrics {
namespace {

std::int64_t edits(const std::string& hypothesis, const std::string& reference) {
  return ter_statistics(hypothesis, {reference}, {}).edits;
}

TEST(Ter, ByHand) {
  EXPECT_EQ(edits("a b c", "a b c"), 0);
  EXPECT_EQ(edits("a x c", "a b c"), 1);      // substitute
  EXPECT_EQ(edits("a c", "a b c"), 1);        // insert
  EXPECT_EQ(edits("a b b c", "a b c"), 1);    // remove
  EXPECT_EQ(edits("c d a b", "a b c d"), 1);  // one move, where Levenshtein counts four
  EXPECT_EQ(edits("", "a b"), 2);
  EXPECT_EQ(edits("a b", ""), 2);
  EXPECT_EQ(edits("A B", "a b"), 0);
  EXPECT_EQ(ter_statistics("A B", {"a b"}, {.case_sensitive = true}).edits, 2);
}

TEST(Ter, EmptyReferences) {
  EXPECT_EQ(corpus_ter({""}, {{""}}).score, 0.0);
  EXPECT_EQ(corpus_ter({"a"}, {{""}}).score, 100.0);
  EXPECT_THROW(corpus_ter({"a", "b"}, {{"a"}}), Error);
  EXPECT_EQ(corpus_ter({"a x c"}, {{"a b c"}}).text("s", 1), "TER|s = 33.3");
}

TEST(Ter, LongLinesEnd) {
  std::string forward, backward;
  for (int i = 0; i < 400; ++i) {
    forward += "w" + std::to_string(i) + " ";
    backward += "w" + std::to_string(399 - i) + " ";
  }
  EXPECT_LE(edits(backward, forward), 400);
  EXPECT_GT(edits(backward, forward), 200);
}

/// Levenshtein distance as the formula reads.
std::int64_t levenshtein(const std::u32string& a, const std::u32string& b) {
  std::vector<std::vector<std::int64_t>> d(a.size() + 1, std::vector<std::int64_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        d[i][j] = static_cast<std::int64_t>(i + j);
      } else {
        d[i][j] =
            std::min({d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1), d[i - 1][j] + 1, d[i][j - 1] + 1});
      }
    }
  }
  return d[a.size()][b.size()];
}

/// The distance, and the trace rewrites one into the other with that many edits.
void check(BeamEditDistance& distance, const std::u32string& hypothesis, const std::u32string& reference) {
  ASSERT_EQ(distance.distance(hypothesis), levenshtein(hypothesis, reference));
  std::u32string made;
  std::size_t at = 0;
  std::int64_t count = 0;
  for (const Edit edit : distance.trace()) {
    count += edit == Edit::keep ? 0 : 1;
    if (edit == Edit::keep) {
      ASSERT_EQ(hypothesis[at], reference[made.size()]);
    }
    if (edit != Edit::remove) made.push_back(reference[made.size()]);
    if (edit != Edit::insert) ++at;
  }
  EXPECT_EQ(made, reference);
  EXPECT_EQ(at, hypothesis.size());
  EXPECT_EQ(count, distance.distance(hypothesis));
}

TEST(BeamEditDistance, IsLevenshteinInsideTheBeam) {
  unsigned state = 1;
  const auto draw = [&state](unsigned below) {
    return (state = state * 1664525u + 1013904223u) / 65536u % below;
  };
  for (int trial = 0; trial < 300; ++trial) {
    std::u32string reference(draw(20), U'a'), hypothesis(draw(20), U'a');
    for (auto& c : reference) c += draw(3);
    BeamEditDistance distance(reference);
    for (int again = 0; again < 4; ++again) {  // the same object, so that kept rows are used
      for (auto& c : hypothesis) c = draw(4) == 0 ? U'a' + draw(3) : c;
      check(distance, hypothesis, reference);
    }
  }
}

TEST(BeamEditDistance, LengthsThatDifferWildly) {
  const std::u32string one = U"a", many(500, U'b');
  BeamEditDistance to_many(many), to_one(one), to_none(U"");
  EXPECT_EQ(to_many.distance(one), 500);
  EXPECT_EQ(to_many.trace().size(), 500u);
  EXPECT_EQ(to_one.distance(many), 500);
  EXPECT_EQ(to_none.distance(one), 1);
  EXPECT_EQ(to_none.distance(U""), 0);
}

}  // namespace
}  // namespace fovea::metrics
