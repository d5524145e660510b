#pragma once

#include <map>
#include <string>

#include "tests/models/small_config.h"

namespace fovea::models {

/// Small models of the families of encoder-decoders after Marian.
inline std::map<std::string, TransformerConfig> family_variants() {
  using Config = TransformerConfig;
  std::map<std::string, Config> variants;
  Config bart = small_config();
  bart.family = Config::Family::bart;
  bart.positions = Config::Positions::learned;
  bart.position_offset = 2;
  bart.embedding_norm = true;
  bart.scale_embedding = false;
  bart.activation = kernels::Activation::gelu;
  bart.bos = 0;
  bart.pad = 1;
  bart.eos = bart.start = 2;
  bart.unk = 3;
  variants["bart"] = bart;
  Config mbart = bart;
  mbart.family = Config::Family::mbart;
  mbart.norm = Config::Norm::pre;
  mbart.scale_embedding = true;
  mbart.start = 5;
  variants["mbart"] = mbart;
  Config pegasus = mbart;
  pegasus.family = Config::Family::pegasus;
  pegasus.embedding_norm = false;
  pegasus.position_offset = 0;
  pegasus.bos = -1;
  pegasus.pad = pegasus.start = 0;
  pegasus.eos = 1;
  variants["pegasus"] = pegasus;
  Config m2m100 = mbart;
  m2m100.family = Config::Family::m2m100;
  m2m100.positions = Config::Positions::fairseq;
  m2m100.embedding_norm = false;
  m2m100.position_offset = 0;
  m2m100.start = 2;
  variants["m2m100"] = m2m100;
  Config t5 = small_config();
  t5.family = Config::Family::t5;
  t5.norm = Config::Norm::pre;
  t5.norm_kind = Config::NormKind::rms;
  t5.norm_eps = 1e-6f;
  t5.positions = Config::Positions::relative;
  t5.max_positions = 1 << 15;
  t5.distance_buckets = 8;
  t5.max_distance = 20;
  t5.score_scale = 1.0f;
  t5.biases = t5.scale_embedding = false;
  t5.scale_output = true;
  t5.key_width = t5.value_width = 3;
  t5.attention_dropout = t5.activation_dropout = t5.dropout;
  t5.pad = t5.start = 0;
  t5.eos = 1;
  t5.unk = 2;
  variants["t5"] = t5;
  t5.gated = true;
  t5.activation = kernels::Activation::gelu_tanh;
  t5.scale_output = t5.tie_output = false;
  variants["t5 1.1"] = t5;
  t5.family = Config::Family::mt5;
  t5.activation = kernels::Activation::silu;
  variants["mt5"] = t5;
  return variants;
}

}  // namespace fovea::models
