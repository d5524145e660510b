#include "fovea/text/pipeline/regex.h"

#include <gtest/gtest.h>

#include "fovea/base/error.h"

namespace fovea::text::pipeline {
namespace {

std::vector<std::string> matches(std::string_view pattern, std::string_view text) {
  const Regex regex(pattern);
  Regex::Search search(regex);
  std::vector<std::string> out;
  std::size_t from = 0;
  std::optional<std::size_t> last;
  while (const auto match = search.next(text, from, last)) {
    out.emplace_back(text.substr(match->begin, match->end - match->begin));
    last = from = match->end;
  }
  return out;
}

using Parts = std::vector<std::string>;

TEST(Regex, ReadsTheDialectOfRuby) {
  EXPECT_EQ(matches(R"(\h+)", "12 beef xyz"), (Parts{"12", "beef"}));
  EXPECT_EQ(matches(R"(\s)", "a\u180e\u3000\u0085b"),
            (Parts{"\u3000", "\u0085"}));  // U+180E is no space any more
  EXPECT_EQ(matches(R"([^\s\p{L}]+)", "a1\u00a02 b"), (Parts{"1", "2"}));
  EXPECT_EQ(matches("^b", "a\nb"), (Parts{"b"}));
  EXPECT_EQ(matches("(?m:a.b)", "a\nb"), (Parts{"a\nb"}));
  EXPECT_EQ(matches("a.b", "a\nb"), Parts{});
  EXPECT_EQ(matches(R"([\]a]+|\p{Lu}+)", "]aB"), (Parts{"]a", "B"}));
  EXPECT_EQ(matches(R"((?i:'s|'t))", "it\u2019s it'S \u017f'\u017f"), (Parts{"'S", "'\u017f"}));
  EXPECT_EQ(matches(R"([[:alpha:]]+)", "a1b"), (Parts{"a", "b"}));
}

TEST(Regex, LooksAheadAndTakesEmptyMatchesOnce) {
  EXPECT_EQ(matches(R"(\s+(?!\S)|\s+)", "a   b"), (Parts{"  ", " "}));
  EXPECT_EQ(matches("x*", "ax\u00e9"), (Parts{"", "x", ""}));
  EXPECT_EQ(matches("", "ab").size(), 3u);
}

TEST(Regex, RefusesWhatItWouldReadOtherwise) {
  for (const char* pattern :
       {"[a[b]]", "[a&&b]", "a{2,3}+", "(", "[a", "\\p{None}", "(?<=a+)b", "[[:alpha", "\\C"})
    EXPECT_THROW(Regex{pattern}, Error) << pattern;
  EXPECT_THROW(Regex(std::string(100'000, 'a')), Error);
}

TEST(Regex, LongMatchesNeedNoStack) {
  const std::string text(100'000, 'a');
  EXPECT_EQ(matches("(?:a|b)+", text), Parts{text});
}

}  // namespace
}  // namespace fovea::text::pipeline
