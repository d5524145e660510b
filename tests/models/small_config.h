#pragma once

#include "fovea/models/transformer.h"

namespace fovea::models {

/// A Transformer of a few thousand parameters.
inline TransformerConfig small_config() {
  TransformerConfig config;
  config.source_vocabulary = config.target_vocabulary = 13;
  config.encoder_layers = config.decoder_layers = 2;
  config.width = 16;
  config.feed_forward = 24;
  config.heads = 4;
  config.max_positions = 32;
  return config;
}

}  // namespace fovea::models
