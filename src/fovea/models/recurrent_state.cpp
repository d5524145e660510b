#include "fovea/models/recurrent.h"
#include "fovea/models/row_selection.h"

namespace fovea::models {
namespace {

// Weights of one query a row: those of `a`'s rows, then of `b`'s.
Tensor joined_weights(const Tensor& a, const Tensor& b) {
  if (!a.defined()) return a;
  return joined(a.reshape({a.elements(), 1}), b.reshape({b.elements(), 1}))
      .reshape({a.elements() + b.elements()});
}

CopyView joined_copies(const CopyView& a, const CopyView& b) {
  if (!a.tokens) return a;
  const Gathered of_a = gathered(*a.sources), of_b = gathered(*b.sources);
  const std::int64_t rows = std::ssize(of_a.rows);
  CopyView both;
  for (const auto row : of_a.rows) both.ids.push_back(a.ids[static_cast<std::size_t>(row)]);
  for (const auto row : of_b.rows) both.ids.push_back(b.ids[static_cast<std::size_t>(row)]);
  both.tokens =
      ops::CopySource::of(both.ids, *joined(*of_a.parts, *of_b.parts, rows), a.tokens->vocabulary());
  both.sources = joined(*of_a.sequences, *of_b.sequences, rows);
  return both;
}

}  // namespace

void RecurrentState::reorder(std::span<const std::int32_t> parents) {
  for (auto& layer : decoder.layers) {
    layer.h = rows_of(layer.h, parents);
    layer.c = rows_of(layer.c, parents);
  }
  std::vector<std::int64_t> positions;
  for (const auto parent : parents) positions.push_back(decoder.positions[static_cast<std::size_t>(parent)]);
  decoder.positions = std::move(positions);
  decoder.fed = rows_of(decoder.fed, parents);
  source.fixed = rows_of(source.fixed, parents);
  if (copies.tokens) copies.sources = selected(*copies.sources, parents);
  if (!source.memory.sequences) return;
  decoder.previous = parts_of(decoder.previous, *source.memory.sequences, parents);
  decoder.coverage = parts_of(decoder.coverage, *source.memory.sequences, parents);
  source.memory.sequences = selected(*source.memory.sequences, parents);
  if (moves_keys) source.memory = unshared(source.memory);
}

void RecurrentState::append(const RecurrentState& fresh) {
  for (std::size_t n = 0; n < decoder.layers.size(); ++n) {
    auto& layer = decoder.layers[n];
    layer.h = joined(layer.h, fresh.decoder.layers[n].h);
    layer.c = joined(layer.c, fresh.decoder.layers[n].c);
  }
  decoder.positions.insert(decoder.positions.end(), fresh.decoder.positions.begin(),
                           fresh.decoder.positions.end());
  decoder.fed = joined(decoder.fed, fresh.decoder.fed);
  decoder.previous = joined_weights(decoder.previous, fresh.decoder.previous);
  decoder.coverage = joined_weights(decoder.coverage, fresh.decoder.coverage);
  source.fixed = joined(source.fixed, fresh.source.fixed);
  copies = joined_copies(copies, fresh.copies);
  if (source.memory.sequences) source.memory = joined(source.memory, fresh.source.memory);
}

}  // namespace fovea::models
