#include "fovea/attention/rollout.h"

#include "fovea/attention/token_mixing.h"

namespace fovea::attention {
namespace {

// Rollout of self-attention through layers 0 to `last`; the identity if there are none.
Matrix self_rollout(const Recording& recording, Side side, int last) {
  Matrix rolled = Matrix::identity(static_cast<std::int64_t>(recording.rows(side).size()));
  for (int l = 0; l <= last; ++l)
    if (const auto* layer = recording.find(side, l)) rolled = product(self_mixing(*layer), rolled);
  return rolled;
}

int layers(const Recording& recording, Side side) {
  int count = 0;
  for (const auto& layer : recording.layers) count += layer.side == side;
  return count;
}

Matrix cross_rollout(const Recording& recording, int last) {
  const Matrix encoder = self_rollout(recording, Side::encoder, layers(recording, Side::encoder) - 1);
  const auto T = static_cast<std::int64_t>(recording.target_out.size());
  Matrix reached = Matrix::zeros(T, encoder.columns);
  for (int l = 0; l <= last; ++l) {
    if (const auto* self = recording.find(Side::decoder, l)) reached = product(self_mixing(*self), reached);
    const auto* cross = recording.find(Side::cross, l);
    if (!cross) continue;
    const TokenMixing mixing = token_mixing(*cross);
    const Matrix arrived = product(mixing.attended, encoder);
    for (std::int64_t t = 0; t < T; ++t)
      for (std::int64_t s = 0; s < encoder.columns; ++s)
        reached.row(t)[s] = mixing.kept[static_cast<std::size_t>(t)] * reached.row(t)[s] + arrived.row(t)[s];
  }
  return reached;
}

}  // namespace

RecordedLayer rollout(const Recording& recording, Side side, int through) {
  const int last = last_layer(recording, side, through);
  Matrix rolled = side == Side::cross ? cross_rollout(recording, last) : self_rollout(recording, side, last);
  normalise_rows(rolled);
  return as_layer(side, last, rolled);
}

std::vector<RecordedLayer> rollouts(const Recording& recording) {
  std::vector<RecordedLayer> all;
  for (const auto& layer : recording.layers) all.push_back(rollout(recording, layer.side, layer.layer));
  return all;
}

}  // namespace fovea::attention
