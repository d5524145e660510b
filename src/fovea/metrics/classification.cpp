#include "fovea/metrics/classification.h"

#include <string>

#include "fovea/base/error.h"

namespace fovea::metrics {
namespace {

double share(std::int64_t part, std::int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0.0;
}

void add_times(ClassScore& sum, const ClassScore& score, double weight) {
  sum.precision += weight * score.precision;
  sum.recall += weight * score.recall;
  sum.f1 += weight * score.f1;
  sum.support += score.support;
}

}  // namespace

ConfusionMatrix::ConfusionMatrix(std::int64_t classes)
    : classes_(classes), counts_(static_cast<std::size_t>(classes * classes)) {}

void ConfusionMatrix::add(std::int64_t gold, std::int64_t predicted) {
  if (gold < 0 || gold >= classes_ || predicted < 0 || predicted >= classes_)
    throw Error(Error::Kind::bug, "confusion matrix",
                "there are " + std::to_string(classes_) + " classes, not " + std::to_string(gold) + " and " +
                    std::to_string(predicted));
  ++counts_[static_cast<std::size_t>(gold * classes_ + predicted)];
  ++total_;
}

std::int64_t ConfusionMatrix::count(std::int64_t gold, std::int64_t predicted) const {
  return counts_.at(static_cast<std::size_t>(gold * classes_ + predicted));
}

std::int64_t ConfusionMatrix::support(std::int64_t gold) const {
  std::int64_t sum = 0;
  for (std::int64_t c = 0; c < classes_; ++c) sum += count(gold, c);
  return sum;
}

std::int64_t ConfusionMatrix::predictions(std::int64_t predicted) const {
  std::int64_t sum = 0;
  for (std::int64_t c = 0; c < classes_; ++c) sum += count(c, predicted);
  return sum;
}

ClassificationScores classification_scores(const ConfusionMatrix& matrix) {
  ClassificationScores scores;
  std::int64_t right = 0, counted = 0;
  for (std::int64_t c = 0; c < matrix.classes(); ++c) {
    const std::int64_t hits = matrix.count(c, c), predictions = matrix.predictions(c);
    ClassScore score;
    score.support = matrix.support(c);
    score.precision = share(hits, predictions);
    score.recall = share(hits, score.support);
    if (hits > 0) score.f1 = 2 * score.precision * score.recall / (score.precision + score.recall);
    right += hits;
    counted += score.support + predictions > 0;
    scores.classes.push_back(score);
  }
  scores.accuracy = share(right, matrix.total());
  for (const auto& score : scores.classes) {
    add_times(scores.macro, score, counted > 0 ? 1.0 / static_cast<double>(counted) : 0.0);
    add_times(scores.weighted, score, share(score.support, matrix.total()));
  }
  return scores;
}

}  // namespace fovea::metrics
