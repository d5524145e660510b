#include "fovea/models/alignment.h"

#include <algorithm>

#include "fovea/attention/record.h"

namespace fovea::models {
namespace {

// Mean over rows of the largest weight before the last column.
double clarity(const Tensor& weights_TS) {
  const std::int64_t T = weights_TS.dim(0), S = weights_TS.dim(1);
  double sum = 0.0;
  for (std::int64_t t = 0; t < T && S > 1; ++t)
    sum += *std::max_element(weights_TS.f32() + t * S, weights_TS.f32() + (t + 1) * S - 1);
  return sum / static_cast<double>(T);
}

}  // namespace

Tensor cross_attention(const ops::Context& ctx, const TranslationModel& model,
                       std::span<const std::int32_t> source, std::span<const std::int32_t> target,
                       int layer) {
  const auto S = static_cast<std::int64_t>(source.size()), T = static_cast<std::int64_t>(target.size()) + 1;
  attention::Record record(layer < 0 ? ".cross" : "decoder." + std::to_string(layer) + ".cross");
  ops::Context watched = ctx;
  watched.recorder = &record;
  model.read(watched, source, target);
  Tensor clearest;
  for (const auto& [place, weights] : record.weights()) {
    const Tensor mean_TS = attention::mean_over_heads(weights, weights.elements() / (T * S), T, S);
    if (!clearest.defined() || clarity(mean_TS) > clarity(clearest)) clearest = mean_TS;
  }
  if (!clearest.defined())
    throw Error(Error::Kind::bug, "cross-attention", "no layer " + std::to_string(layer));
  return clearest;
}

}  // namespace fovea::models
