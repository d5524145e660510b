#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fovea::metrics {

/// How texts of each class were classified, counted.
class ConfusionMatrix {
 public:
  explicit ConfusionMatrix(std::int64_t classes);
  /// A text of class `gold` was said to be of class `predicted`.
  void add(std::int64_t gold, std::int64_t predicted);

  std::int64_t classes() const { return classes_; }
  std::int64_t count(std::int64_t gold, std::int64_t predicted) const;
  std::int64_t total() const { return total_; }
  std::int64_t support(std::int64_t gold) const;           ///< texts of that class
  std::int64_t predictions(std::int64_t predicted) const;  ///< texts said to be of it

 private:
  std::int64_t classes_, total_ = 0;
  std::vector<std::int64_t> counts_;  // [gold, predicted]
};

/// Of one class, or a mean over classes. With tp texts rightly said to be of the class:
///   precision = tp / predictions, recall = tp / support, f1 = 2 precision recall / (precision + recall)
/// A share of nothing is 0, as in scikit-learn.
struct ClassScore {
  double precision = 0.0, recall = 0.0, f1 = 0.0;
  std::int64_t support = 0;
};

struct ClassificationScores {
  double accuracy = 0.0;
  std::vector<ClassScore> classes;
  ClassScore macro;     ///< the mean over all classes
  ClassScore weighted;  ///< the mean weighted by support
};

/// The classes of a mean are those with a text or a prediction, as scikit-learn's classification_report
/// takes them.
ClassificationScores classification_scores(const ConfusionMatrix& matrix);

}  // namespace fovea::metrics
