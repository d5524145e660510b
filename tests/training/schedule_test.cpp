#include "fovea/training/schedule.h"

#include <gtest/gtest.h>

namespace fovea::training {
namespace {

TrainingOptions options(ScheduleKind kind) {
  TrainingOptions options;
  options.schedule = kind;
  options.rate = 0.004;
  options.warmup = 100;
  options.updates = 1100;
  options.minimum_rate = 0.001;
  return options;
}

TEST(Schedule, WarmsUpInALine) {
  for (const auto kind :
       {ScheduleKind::inverse_sqrt, ScheduleKind::cosine, ScheduleKind::linear, ScheduleKind::constant}) {
    EXPECT_DOUBLE_EQ(learning_rate(options(kind), 1), 0.00004);
    EXPECT_DOUBLE_EQ(learning_rate(options(kind), 50), 0.002);
    EXPECT_DOUBLE_EQ(learning_rate(options(kind), 100), 0.004);
  }
}

TEST(Schedule, DecaysByItsName) {
  EXPECT_DOUBLE_EQ(learning_rate(options(ScheduleKind::inverse_sqrt), 400), 0.002);
  EXPECT_DOUBLE_EQ(learning_rate(options(ScheduleKind::inverse_sqrt), 10000), 0.001);
  EXPECT_DOUBLE_EQ(learning_rate(options(ScheduleKind::cosine), 600), 0.0025);
  EXPECT_NEAR(learning_rate(options(ScheduleKind::cosine), 1100), 0.001, 1e-12);
  EXPECT_DOUBLE_EQ(learning_rate(options(ScheduleKind::linear), 350), 0.00325);
  EXPECT_DOUBLE_EQ(learning_rate(options(ScheduleKind::linear), 5000), 0.001);
  EXPECT_DOUBLE_EQ(learning_rate(options(ScheduleKind::constant), 5000), 0.004);
}

TEST(Schedule, WorksWithoutWarmupAndWithoutLimit) {
  auto free = options(ScheduleKind::inverse_sqrt);
  free.warmup = 0;
  EXPECT_DOUBLE_EQ(learning_rate(free, 1), 0.004);
  EXPECT_DOUBLE_EQ(learning_rate(free, 4), 0.002);
  auto endless = options(ScheduleKind::cosine);
  endless.updates = 0;
  EXPECT_DOUBLE_EQ(learning_rate(endless, 1000), 0.004);
}

}  // namespace
}  // namespace fovea::training
