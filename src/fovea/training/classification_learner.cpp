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

void ClassificationLearner::drop_words(const ops::Context& ctx, std::vector<std::int32_t>& tokens) const {
  const auto share = static_cast<float>(recipe_.classification.word_dropout);
  if (share <= 0.0f || words_.unknown < 0) return;
  const auto key = RandomKey::of(ctx.seed, ctx.update, word_site);
  for (std::size_t i = 0; i < tokens.size(); ++i)
    if (uniform(key, i) < share && std::ranges::count(words_.special, tokens[i]) == 0)
      tokens[i] = words_.unknown;
}

ops::LossSums ClassificationLearner::loss(const ops::Context& ctx, std::int64_t i, float weight) {
  data::LabelledBatch& batch = taken(i);
  drop_words(ctx, batch.tokens);
  return model_.loss(ctx, {batch.tokens, batch.types, batch.start}, batch.labels, label_smoothing(), weight);
}

}  // namespace fovea::training
