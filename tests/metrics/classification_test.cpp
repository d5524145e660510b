#include "fovea/metrics/classification.h"

#include <gtest/gtest.h>

#include "tests/base/scratch.h"

namespace fovea::metrics {
namespace {

ConfusionMatrix matrix_of(std::int64_t classes, const std::vector<std::pair<int, int>>& pairs) {
  ConfusionMatrix matrix(classes);
  for (const auto& [gold, predicted] : pairs) matrix.add(gold, predicted);
  return matrix;
}

// The example of scikit-learn's classification_report: y_true 0 1 2 2 2, y_pred 0 0 2 2 1.
TEST(Classification, IsScikitLearnsReport) {
  const auto scores = classification_scores(matrix_of(3, {{0, 0}, {1, 0}, {2, 2}, {2, 2}, {2, 1}}));
  EXPECT_DOUBLE_EQ(scores.accuracy, 0.6);
  EXPECT_DOUBLE_EQ(scores.classes[0].precision, 0.5);
  EXPECT_DOUBLE_EQ(scores.classes[0].recall, 1.0);
  EXPECT_DOUBLE_EQ(scores.classes[0].f1, 2.0 / 3.0);
  EXPECT_DOUBLE_EQ(scores.classes[1].f1, 0.0);
  EXPECT_DOUBLE_EQ(scores.classes[2].recall, 2.0 / 3.0);
  EXPECT_DOUBLE_EQ(scores.classes[2].f1, 0.8);
  EXPECT_NEAR(scores.macro.precision, 0.50, 5e-3);
  EXPECT_NEAR(scores.macro.recall, 0.56, 5e-3);
  EXPECT_NEAR(scores.macro.f1, 0.49, 5e-3);
  EXPECT_NEAR(scores.weighted.precision, 0.70, 5e-3);
  EXPECT_NEAR(scores.weighted.recall, 0.60, 5e-3);
  EXPECT_NEAR(scores.weighted.f1, 0.61, 5e-3);
  EXPECT_EQ(scores.weighted.support, 5);
}

TEST(Classification, AClassThatNobodyNamedIsNoPartOfAMean) {
  const auto scores = classification_scores(matrix_of(3, {{0, 0}, {1, 1}, {1, 0}}));
  EXPECT_DOUBLE_EQ(scores.macro.recall, 0.75);
  EXPECT_DOUBLE_EQ(scores.macro.f1, (2.0 / 3.0 + 2.0 / 3.0) / 2.0);
}

TEST(Classification, NothingIsNoScore) {
  const auto scores = classification_scores(ConfusionMatrix(2));
  EXPECT_EQ(scores.accuracy, 0.0);
  EXPECT_EQ(scores.macro.f1, 0.0);
}

TEST(Classification, CountsByRowAndColumn) {
  const auto matrix = matrix_of(2, {{0, 1}, {0, 1}, {1, 1}});
  EXPECT_EQ(matrix.count(0, 1), 2);
  EXPECT_EQ(matrix.support(0), 2);
  EXPECT_EQ(matrix.predictions(1), 3);
  EXPECT_EQ(matrix.total(), 3);
  ConfusionMatrix other(2);
  fovea::test::expect_error(
      Error::Kind::bug, [&] { other.add(2, 0); }, "2 classes");
}

}  // namespace
}  // namespace fovea::metrics
