#include "fovea/models/alignment.h"

#include "fovea/attention/head_statistics.h"
#include "fovea/attention/record.h"

namespace fovea::models {

Tensor cross_attention(const ops::Context& ctx, const TranslationModel& model,
                       std::span<const std::int32_t> source, std::span<const std::int32_t> target,
                       int layer) {
  attention::Record record(layer < 0 ? ".cross" : "decoder." + std::to_string(layer) + ".cross");
  ops::Context watched = ctx;
  watched.recorder = &record;
  model.read(watched, source, target);
  using Labels = std::vector<std::string>;
  const auto recording = attention::recording(record, Labels(source.size()), Labels(target.size() + 1),
                                              Labels(target.size() + 1));
  const auto* clearest = attention::clearest_layer(recording, attention::Side::cross);
  if (!clearest) throw Error(Error::Kind::bug, "cross-attention", "no layer " + std::to_string(layer));
  const Tensor& weights = clearest->weights_HTS;
  return attention::mean_over_heads(weights, weights.dim(0), weights.dim(1), weights.dim(2));
}

}  // namespace fovea::models
