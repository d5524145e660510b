#include "fovea/training/classification_learner.h"

#include <algorithm>
#include <cmath>

namespace fovea::training {
namespace {

// Where word dropout draws: apart from the sites of modules and of base/random.h.
constexpr std::uint32_t word_site = 100;

}  // namespace

double ClassificationLearner::guessing() const {
  return std::log(static_cast<double>(model_.classes().size()));
}

std::int64_t ClassificationLearner::take(std::int64_t count, std::int64_t) {
  taken_.clear();
  std::int64_t texts = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    taken_.push_back(batcher_.next());
    texts += std::ssize(taken_.back().labels);
  }
  return texts;
}

void ClassificationLearner::drop_words(const ops::Context& ctx, std::vector<std::int32_t>& tokens) const {
  const auto share = static_cast<float>(recipe_.classification.word_dropout);
  if (share <= 0.0f || words_.unknown < 0) return;
  const auto key = RandomKey::of(ctx.seed, ctx.update, word_site);
  for (std::size_t i = 0; i < tokens.size(); ++i)
    if (uniform(key, i) < share && std::ranges::count(words_.special, tokens[i]) == 0)
      tokens[i] = words_.unknown;
}

ops::LossSums ClassificationLearner::loss(const ops::Context& ctx, std::int64_t i, float weight) {
  data::LabelledBatch& batch = taken_.at(static_cast<std::size_t>(i));
  drop_words(ctx, batch.tokens);
  return model_.loss(ctx, {batch.tokens, batch.types, batch.start}, batch.labels,
                     static_cast<float>(recipe_.training.label_smoothing), weight);
}

}  // namespace fovea::training
