#pragma once

#include <utility>
#include <vector>

#include "fovea/training/learner.h"
#include "fovea/training/recipe.h"

namespace fovea::training {

/// A learner whose batches are drawn by a batcher of data/: what those of all tasks do alike. `Batcher` has
/// next(), position() and seek().
template <class Model, class Batcher>
class BatchLearner : public Learner {
 public:
  using Batch = decltype(std::declval<Batcher&>().next());

  /// All arguments must outlive the learner.
  BatchLearner(const TrainingOptions& options, Model& model, Batcher& batcher)
      : options_(options), model_(model), batcher_(batcher) {}

  Model& model() override { return model_; }
  std::int64_t take(std::int64_t count, std::int64_t /*update*/) override {
    taken_.clear();
    std::int64_t units = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      taken_.push_back(batcher_.next());
      units += units_of(taken_.back());
    }
    return units;
  }
  data::BatchPosition position() const override { return batcher_.position(); }
  void seek(data::BatchPosition position) override { batcher_.seek(position); }

 protected:
  /// How many of unit() are predicted in a batch.
  virtual std::int64_t units_of(const Batch& batch) const = 0;
  /// Batch i of those taken.
  Batch& taken(std::int64_t i) { return taken_.at(static_cast<std::size_t>(i)); }
  float label_smoothing() const { return static_cast<float>(options_.label_smoothing); }

  const TrainingOptions& options_;
  Model& model_;

 private:
  Batcher& batcher_;
  std::vector<Batch> taken_;
};

}  // namespace fovea::training
