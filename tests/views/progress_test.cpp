#include "fovea/views/progress.h"

#include <gtest/gtest.h>

#include <clocale>
#include <cmath>

#include "tests/views/rendered.h"

namespace fovea::views {
namespace {

TrainingProgress halfway() {
  return {.update = 4350,
          .updates = 8000,
          .epoch = 12.34,
          .loss = 2.1412,
          .learning_rate = 0.00242,
          .gradient_norm = 0.731,
          .units_per_second = 21345,
          .seconds_left = 3725,
          .last_score = "BLEU 38.4",
          .best_score = "39.1"};
}

TEST(Durations, AsPeopleSayThem) {
  EXPECT_EQ(duration_text(0), "0.0s");
  EXPECT_EQ(duration_text(4.24), "4.2s");
  EXPECT_EQ(duration_text(9.96), "10s");
  EXPECT_EQ(duration_text(59.4), "59s");
  EXPECT_EQ(duration_text(59.6), "1m00s");
  EXPECT_EQ(duration_text(187), "3m07s");
  EXPECT_EQ(duration_text(3599.7), "1h00m");
  EXPECT_EQ(duration_text(3725), "1h02m");
  EXPECT_EQ(duration_text(53 * 3600), "2d05h");
  EXPECT_EQ(duration_text(-1), "?");
  EXPECT_EQ(duration_text(NAN), "?");
  EXPECT_EQ(duration_text(INFINITY), "?");
  EXPECT_EQ(duration_text(1e300), "100000d00h");
}

TEST(Numbers, Short) {
  EXPECT_EQ(count_text(987), "987");
  EXPECT_EQ(count_text(12345), "12.3k");
  EXPECT_EQ(count_text(999499), "999k");
  EXPECT_EQ(count_text(4.56e6), "4.56M");
  EXPECT_EQ(count_text(NAN), "?");
  EXPECT_EQ(perplexity_text(0), "1.00");
  EXPECT_EQ(perplexity_text(2.5), "12.2");
  EXPECT_EQ(perplexity_text(9.2), "9897");
  EXPECT_EQ(perplexity_text(1000), "inf");
  EXPECT_EQ(perplexity_text(NAN), "nan");
}

TEST(ProgressLine, HoldsEverythingWhenThereIsRoom) {
  const auto line = progress_line(halfway(), {.width = 160});
  EXPECT_EQ(
      line,
      "4,350/8,000  ███████▌······  epoch 12.3  loss 2.141  ppl 8.51  lr 0.00242  |g| 0.731  21.3k tok/s  "
      "BLEU 38.4  best 39.1  1h02m left");
}

TEST(ProgressLine, DropsTheLeastImportantFirst) {
  EXPECT_EQ(progress_line(halfway(), {.width = 81}),
            "4,350/8,000  ███████▌······  loss 2.141  21.3k tok/s  best 39.1  1h02m left");
  EXPECT_EQ(progress_line(halfway(), {.width = 40}), "4,350/8,000  loss 2.141  1h02m left");
  EXPECT_EQ(progress_line(halfway(), {.width = 20}), "4,350/8,000");
  EXPECT_EQ(progress_line(halfway(), {.width = 8}), "4,350/…");
}

TEST(ProgressLine, I15_LeavesTheLastColumnFree) {
  for (int width = 1; width < 200; ++width) {
    for (const auto charset : {Charset::ascii, Charset::unicode}) {
      for (const auto colours : {ColourDepth::none, ColourDepth::true_colour}) {
        const auto lines = test::screen(progress_line(
            halfway(), {.colours = colours, .charset = charset, .width = width, .interactive = true}));
        EXPECT_LE(test::widest(lines), width - 1);
      }
    }
  }
}

TEST(ProgressLine, LeavesOutWhatIsNotKnown) {
  EXPECT_EQ(progress_line({.update = 3}, {.width = 80}), "3");
  EXPECT_EQ(plain_progress_line({.update = 3, .loss = 9.1}), "update 3  loss 9.100  ppl 8955");
  EXPECT_EQ(progress_line({.update = 12, .updates = 10}, {.width = 80}), "12/10  ██████████████");
  EXPECT_EQ(progress_line({.update = 1, .updates = 2}, {.charset = Charset::ascii, .width = 80}),
            "1/2  [=======       ]");
  EXPECT_EQ(plain_progress_line({.update = 3, .loss = 0.5, .unit = "texts", .units_per_second = 812}),
            "update 3  loss 0.500  812 texts/s")
      << "only tokens have a perplexity";
}

TEST(ProgressLine, SurvivesNumbersThatAreNone) {
  const TrainingProgress odd{.update = -1,
                             .updates = -5,
                             .epoch = NAN,
                             .loss = NAN,
                             .learning_rate = INFINITY,
                             .gradient_norm = NAN,
                             .units_per_second = -1,
                             .seconds_left = INFINITY};
  EXPECT_NE(plain_progress_line(odd).find("loss nan  ppl nan"), std::string::npos);
  EXPECT_LE(display_width(progress_line(odd, {.width = 50})), 49);
}

TEST(ProgressLine, I15_PlainHasNoEscapeSequences) {
  const std::string saved = std::setlocale(LC_ALL, nullptr);
  std::setlocale(LC_ALL, "de_DE.UTF-8");
  EXPECT_EQ(
      plain_progress_line(halfway()),
      "update 4,350/8,000  epoch 12.3  loss 2.141  ppl 8.51  lr 0.00242  |g| 0.731  21.3k tok/s  BLEU 38.4  "
      "best 39.1  1h02m left");
  std::setlocale(LC_ALL, saved.c_str());
}

TEST(SmoothedRate, FollowsWithoutJumping) {
  SmoothedRate rate(10);
  EXPECT_FALSE(rate.per_second().has_value());
  for (int i = 0; i < 50; ++i) rate.add(100, 1);
  EXPECT_NEAR(*rate.per_second(), 100, 1e-9);
  rate.add(1000, 1);  // one lucky second moves it by about a tenth of the difference
  EXPECT_GT(*rate.per_second(), 150);
  EXPECT_LT(*rate.per_second(), 250);
  for (int i = 0; i < 100; ++i) rate.add(1000, 1);
  EXPECT_NEAR(*rate.per_second(), 1000, 1);
  rate.add(5, 0);
  rate.add(NAN, 1);
  EXPECT_NEAR(*rate.per_second(), 1000, 1);
}

TEST(RedrawnLine, AtMostTenTimesASecond) {
  using std::chrono::milliseconds;
  RedrawnLine line;
  const RedrawnLine::Clock::time_point start{};
  EXPECT_EQ(line.clear(), "");
  EXPECT_EQ(line.redraw("a", start), "\ra\x1b[K");
  EXPECT_EQ(line.redraw("b", start + milliseconds(99)), "");
  EXPECT_EQ(line.redraw("c", start + milliseconds(100)), "\rc\x1b[K");
  EXPECT_EQ(line.clear(), "\r\x1b[K");
  EXPECT_EQ(line.redraw("d", start + milliseconds(101)), "\rd\x1b[K")
      << "after other output it is drawn at once";
  EXPECT_EQ(line.finish("e"), "\re\x1b[K\n");
  EXPECT_EQ(line.clear(), "");
}

}  // namespace
}  // namespace fovea::views
