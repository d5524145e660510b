#include "fovea/models/alignment.h"

#include <algorithm>

#include "fovea/attention/record.h"

namespace fovea::models {

Tensor cross_attention(const ops::Context& ctx, const Transformer& model, std::span<const std::int32_t> source,
                       std::span<const std::int32_t> target, int layer) {
  const auto& config = model.config();
  if (layer < 0) layer = static_cast<int>(std::max<std::int64_t>(0, config.decoder_layers - 2));
  const auto length = [](auto side) { return static_cast<std::int32_t>(side.size()); };
  std::vector<std::int32_t> target_in{config.pad};
  target_in.insert(target_in.end(), target.begin(), target.end());
  const auto source_rows = Sequences::packed(std::vector<std::int32_t>{0, length(source)});
  const auto target_rows = Sequences::packed(std::vector<std::int32_t>{0, length(target_in)});

  const std::string place = "decoder." + std::to_string(layer) + ".cross";
  attention::Record record(place);
  ops::Context watched = ctx;
  watched.recorder = &record;
  model.decode(watched, target_in, target_rows, model.encode(ctx, source, source_rows), source_rows);
  return attention::mean_over_heads(record.weights().at(place), config.heads, length(target_in), length(source));
}

}  // namespace fovea::models
