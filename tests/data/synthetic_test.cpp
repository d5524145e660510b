#include "fovea/data/synthetic.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <set>

#include "fovea/base/error.h"
#include "fovea/text/words.h"

namespace fovea::data {
namespace {

using text::split_words;

SyntheticOptions of(SyntheticTask task) { return {.task = task, .max_length = 9}; }

std::vector<std::string> symbols(const std::string& line) {
  const auto words = split_words(line);
  std::vector<std::string> out;
  for (std::size_t i = 0; i < words.size(); ++i) out.emplace_back(words[i]);
  return out;
}

TEST(Synthetic, TargetsAreWhatTheTaskSays) {
  for (std::uint64_t i = 0; i < 300; ++i) {
    const auto copy = synthetic_pair(of(SyntheticTask::copy), i);
    EXPECT_EQ(copy.source, copy.target);
    const auto reversal = synthetic_pair(of(SyntheticTask::reversal), i);
    auto turned = symbols(reversal.source);
    std::ranges::reverse(turned);
    EXPECT_EQ(turned, symbols(reversal.target));
    const auto sorting = synthetic_pair(of(SyntheticTask::sorting), i);
    auto sorted = symbols(sorting.source);
    std::ranges::sort(sorted);
    EXPECT_EQ(sorted, symbols(sorting.target));
  }
}

TEST(Synthetic, LinksJoinEachSymbolWithItself) {
  for (const auto task : {SyntheticTask::copy, SyntheticTask::reversal, SyntheticTask::sorting})
    for (std::uint64_t i = 0; i < 200; ++i) {
      const auto pair = synthetic_pair(of(task), i);
      const auto source = symbols(pair.source), target = symbols(pair.target);
      EXPECT_EQ(pair.links.sure, pair.links.possible);
      ASSERT_EQ(pair.links.sure.size(), target.size());
      std::set<std::int32_t> used;
      for (const auto link : pair.links.sure) {
        EXPECT_EQ(source[static_cast<std::size_t>(link.source)],
                  target[static_cast<std::size_t>(link.target)]);
        EXPECT_TRUE(used.insert(link.target).second);
        if (task == SyntheticTask::reversal) {
          EXPECT_EQ(link.source + link.target + 1, static_cast<std::int32_t>(source.size()));
        }
      }
    }
  // Of equal symbols the left one stays left.
  const SyntheticOptions two{.task = SyntheticTask::sorting, .symbols = 2, .min_length = 8, .max_length = 8};
  const auto pair = synthetic_pair(two, 1);
  const auto source = symbols(pair.source);
  std::vector<std::int32_t> from(8);
  for (const auto link : pair.links.sure) from[static_cast<std::size_t>(link.target)] = link.source;
  for (std::size_t j = 1; j < 8; ++j) {
    if (source[static_cast<std::size_t>(from[j])] == source[static_cast<std::size_t>(from[j - 1])]) {
      EXPECT_LT(from[j - 1], from[j]);
    }
  }
}

TEST(Synthetic, LengthsAndSymbolsAreThoseAskedFor) {
  const SyntheticOptions options{.task = SyntheticTask::copy, .symbols = 3, .min_length = 4, .max_length = 6};
  std::set<std::size_t> lengths;
  std::set<std::string> seen;
  for (std::uint64_t i = 0; i < 300; ++i) {
    const auto source = symbols(synthetic_pair(options, i).source);
    lengths.insert(source.size());
    seen.insert(source.begin(), source.end());
  }
  EXPECT_EQ(lengths, (std::set<std::size_t>{4, 5, 6}));
  EXPECT_EQ(seen, (std::set<std::string>{"a", "b", "c"}));
}

std::string joined(const std::string& line) {
  std::string out;
  for (const auto& symbol : symbols(line)) out += symbol == "_" ? " " : symbol;
  return out;
}

TEST(Synthetic, DatesAreRealAndWrittenInManyWays) {
  std::set<std::string> shapes;
  for (std::uint64_t i = 0; i < 2000; ++i) {
    const auto pair = synthetic_pair({.task = SyntheticTask::dates}, i);
    const std::string iso = joined(pair.target), written = joined(pair.source);
    ASSERT_EQ(iso.size(), 10u);
    int year, month, day;
    ASSERT_EQ(std::sscanf(iso.c_str(), "%4d-%2d-%2d", &year, &month, &day), 3);
    EXPECT_TRUE((std::chrono::year(year) / month / day).ok()) << iso;
    EXPECT_GE(year, 1900);
    EXPECT_LE(year, 2099);
    EXPECT_NE(written.find(iso.substr(0, 4)), std::string::npos) << written;
    std::string shape;
    for (const char c : written)
      shape += std::isdigit(static_cast<unsigned char>(c))   ? '0'
               : std::isalpha(static_cast<unsigned char>(c)) ? 'a'
                                                             : c;
    shape.erase(std::unique(shape.begin(), shape.end()), shape.end());
    shapes.insert(shape);
  }
  EXPECT_GE(shapes.size(), 12u);
}

TEST(Synthetic, DatesLinkDigitsToWhereTheyStood) {
  std::set<std::string> endings;
  for (std::uint64_t i = 0; i < 500; ++i) {
    const auto pair = synthetic_pair({.task = SyntheticTask::dates}, i);
    const auto source = symbols(pair.source), target = symbols(pair.target);
    EXPECT_NO_THROW(text::check_alignment(pair.links, source.size(), target.size(), "dates"));
    std::vector<int> sure(10), possible(10);
    for (const auto link : pair.links.sure) {
      EXPECT_EQ(source[static_cast<std::size_t>(link.source)], target[static_cast<std::size_t>(link.target)]);
      EXPECT_TRUE(pair.links.possible.contains(link));
      ++sure[static_cast<std::size_t>(link.target)];
    }
    for (const auto link : pair.links.possible) ++possible[static_cast<std::size_t>(link.target)];
    for (const std::size_t year : {0, 1, 2, 3}) EXPECT_EQ(sure[year], 1);
    for (const std::size_t hyphen : {4, 7}) EXPECT_EQ(possible[hyphen], static_cast<int>(source.size()));
    EXPECT_EQ(sure[9], 1);  // a day's last digit is always written
    for (std::size_t j = 0; j < 10; ++j) EXPECT_GT(possible[j], 0);
    if (sure[8] == 0) {
      EXPECT_EQ(target[8], "0");
    }
  }
}

TEST(Synthetic, APairIsAFunctionOfSeedAndIndex) {
  for (const auto task :
       {SyntheticTask::copy, SyntheticTask::reversal, SyntheticTask::sorting, SyntheticTask::dates}) {
    auto options = of(task);
    const auto first = synthetic_pair(options, 7);
    EXPECT_EQ(synthetic_pair(options, 7).source, first.source);
    EXPECT_NE(synthetic_pair(options, 8).source, first.source);
    options.seed = 2;
    EXPECT_NE(synthetic_pair(options, 7).source, first.source);
  }
}

TEST(Synthetic, PartsShareNoTarget) {
  for (const auto task : {SyntheticTask::sorting, SyntheticTask::dates}) {
    std::set<std::string> train;
    for (const auto& pair : synthetic_pairs(of(task), SyntheticSplit::train, 1500)) train.insert(pair.target);
    for (const auto split : {SyntheticSplit::valid, SyntheticSplit::test}) {
      const auto held_out = synthetic_pairs(of(task), split, 100);
      ASSERT_EQ(held_out.size(), 100u);
      for (const auto& pair : held_out) EXPECT_FALSE(train.contains(pair.target));
    }
  }
}

TEST(Synthetic, OptionsOutOfRangeAreRefused) {
  for (const SyntheticOptions& bad :
       {SyntheticOptions{.symbols = 1}, SyntheticOptions{.symbols = 27}, SyntheticOptions{.min_length = 0},
        SyntheticOptions{.min_length = 5, .max_length = 4}, SyntheticOptions{.max_length = 1001}})
    EXPECT_THROW(synthetic_pair(bad, 0), Error);
  EXPECT_THROW(parse_synthetic_task("revers"), Error);
  EXPECT_EQ(parse_synthetic_task("dates"), SyntheticTask::dates);
  const SyntheticOptions few{.symbols = 2, .min_length = 1, .max_length = 1};  // two targets for three parts
  EXPECT_THROW(
      (synthetic_pairs(few, SyntheticSplit::valid, 5), synthetic_pairs(few, SyntheticSplit::test, 5)), Error);
}

}  // namespace
}  // namespace fovea::data
