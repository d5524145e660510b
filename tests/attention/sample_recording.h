#pragma once

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "fovea/attention/record.h"

namespace fovea::attention {

/// [H, T, S] of the numbers given.
inline RecordedLayer layer_of(Side side, int number, Shape shape, const std::vector<float>& weights) {
  return {side, number, Tensor::of(shape, weights)};
}

/// Rows of random weights that sum to one; a decoder's see no later column.
inline RecordedLayer random_layer(Side side, int number, std::int64_t H, std::int64_t T, std::int64_t S,
                                  std::mt19937& random) {
  std::exponential_distribution<float> weight;
  Tensor weights = Tensor::zeros({H, T, S});
  for (std::int64_t r = 0; r < H * T; ++r) {
    float* const row = weights.f32() + r * S;
    const std::int64_t seen = side == Side::decoder ? r % T + 1 : S;
    float sum = 0.0f;
    for (std::int64_t s = 0; s < seen; ++s) sum += row[s] = weight(random) * weight(random);
    for (std::int64_t s = 0; s < seen; ++s) row[s] /= sum;
  }
  return {side, number, weights};
}

/// A recording of a Transformer with random attention.
inline Recording random_recording(int layers, std::int64_t heads, std::int64_t S, std::int64_t T,
                                  unsigned seed = 1) {
  std::mt19937 random(seed);
  Recording recording;
  for (std::int64_t s = 0; s < S; ++s) recording.source.push_back("s" + std::to_string(s));
  for (std::int64_t t = 0; t < T; ++t) {
    recording.target_in.push_back("i" + std::to_string(t));
    recording.target_out.push_back("o" + std::to_string(t));
  }
  for (int l = 0; l < layers; ++l)
    recording.layers.push_back(random_layer(Side::encoder, l, heads, S, S, random));
  for (int l = 0; l < layers; ++l)
    recording.layers.push_back(random_layer(Side::decoder, l, heads, T, T, random));
  for (int l = 0; l < layers; ++l)
    recording.layers.push_back(random_layer(Side::cross, l, heads, T, S, random));
  return recording;
}

inline std::vector<float> numbers(const RecordedLayer& layer) {
  const auto values = layer.weights_HTS.values();
  return {values.begin(), values.end()};
}

}  // namespace fovea::attention
