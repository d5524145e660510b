#include "fovea/training/final_weights.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace fovea::training {
namespace {

struct Candidate {
  std::string name;
  Tensor weights;
};

std::vector<Candidate> candidates(const RunFolder& folder, const TrainingOptions& options,
                                  const TrainingState& state, const Tensor& average, models::Model& model) {
  std::vector<Candidate> found;
  const Tensor& values = model.learned().values();
  const Tensor own = values.clone();
  if (const auto last = folder.regular(options.average_last, options.save_every); last.size() > 1) {
    folder.average(last, model);
    found.push_back({"average of " + std::to_string(last.size()) + " checkpoints", values.clone()});
  }
  if (average.defined()) found.push_back({"moving average", average});
  if (state.best_update > 0) {
    const std::string name = folder.read_model(model);
    found.push_back({name, values.clone()});
  }
  if (found.empty()) found.push_back({"update " + std::to_string(state.update), own});
  return found;
}

}  // namespace

FinalWeights choose_final_weights(const RunFolder& folder, const TrainingOptions& options,
                                  const TrainingState& state, const Tensor& average,
                                  const std::function<ValidationResult()>& validate, models::Model& model) {
  const auto all = candidates(folder, options, state, average, model);
  const Tensor& values = model.learned().values();
  if (!validate) {
    std::ranges::copy(all.front().weights.values(), values.f32());
    return {all.front().name, std::nullopt};
  }
  const Candidate* chosen = nullptr;
  std::optional<ValidationResult> best;
  for (const auto& candidate : all) {
    std::ranges::copy(candidate.weights.values(), values.f32());
    const ValidationResult score = validate();
    if (!std::isfinite(score.loss) || (best && !score.better_than(best->score(), best->loss))) continue;
    best = score;
    chosen = &candidate;
  }
  if (!chosen)
    throw Error(Error::Kind::diverged, shown(folder.path()),
                "no weights of this run have a finite validation loss");
  std::ranges::copy(chosen->weights.values(), values.f32());
  return {chosen->name, best};
}

}  // namespace fovea::training
