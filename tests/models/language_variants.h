#pragma once

#include <string>
#include <utility>
#include <vector>

#include "fovea/models/language_folder.h"

/// Language models of every family, small.
namespace fovea::models {

inline Gpt2Config small_gpt2() {
  Gpt2Config config;
  config.vocabulary = 13;
  config.max_positions = 40;
  config.width = 12;
  config.layers = 2;
  config.heads = 3;
  config.bos = 0;
  config.eos = {1};
  return config;
}

inline LlamaConfig small_llama() {
  LlamaConfig config;
  config.vocabulary = 13;
  config.max_positions = 40;
  config.width = 16;
  config.layers = 2;
  config.heads = 4;
  config.kv_heads = 2;
  config.feed_forward = 20;
  config.rotary.rotated = 4;
  config.bos = 0;
  config.eos = {1, 2};
  return config;
}

/// Every option, each in a place where it works.
inline std::vector<std::pair<std::string, LanguageConfig>> language_variants() {
  std::vector<std::pair<std::string, LanguageConfig>> all;
  const auto gpt2 = [&](const std::string& name, auto change) {
    all.emplace_back(name, small_gpt2());
    change(std::get<Gpt2Config>(all.back().second));
  };
  const auto llama = [&](const std::string& name, auto change) {
    all.emplace_back(name, small_llama());
    change(std::get<LlamaConfig>(all.back().second));
  };
  gpt2("gpt2", [](auto&) {});
  gpt2("gpt2_untied", [](auto& c) {
    c.tie_output = false;
    c.feed_forward = 20;
    c.activation = kernels::Activation::gelu_quick;  // relu has kinks
  });
  gpt2("gpt2_scaled_by_layer", [](auto& c) { c.scale_scores_by_layer = true; });
  gpt2("gpt2_unscaled", [](auto& c) { c.scale_scores = false; });
  llama("llama", [](auto& c) { c.dropout = c.attention_dropout = 0.2f; });
  llama("llama_biased", [](auto& c) { c.qkv_bias = c.output_bias = c.feed_forward_bias = true; });
  llama("llama_stretched", [](auto& c) {
    c.rotary.scaling = {.rule = attention::RotaryRule::llama3, .factor = 4.0, .original_length = 16};
    c.head_width = 6;
    c.rotary.rotated = 6;
    c.tie_output = true;
  });
  llama("mistral", [](auto& c) {
    c.family = LlamaConfig::Family::mistral;
    c.window = 3;
  });
  llama("qwen2", [](auto& c) {
    c.family = LlamaConfig::Family::qwen2;
    c.qkv_bias = true;
    c.window = 4;
    c.window_from = 1;
  });
  return all;
}

}  // namespace fovea::models
