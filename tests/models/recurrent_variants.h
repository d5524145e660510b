#pragma once

#include <map>
#include <string>
#include <vector>

#include "fovea/models/recurrent_config.h"

/// Recurrent models of every kind, small.
namespace fovea::models {

/// A recurrent model of a few thousand parameters.
inline RecurrentConfig small_recurrent_config() {
  RecurrentConfig config;
  config.source_vocabulary = config.target_vocabulary = 13;
  config.width = 8;
  config.embedding = 6;
  config.attention_width = 10;
  config.reach = 2;
  config.max_positions = 32;
  return config;
}

using RecurrentChange = void (*)(RecurrentConfig&);

/// Every option of the model, each in a place where it works.
inline const std::map<std::string, RecurrentChange>& variants() {
  using attention::Normaliser;
  using Order = RecurrentConfig::Order;
  using Start = RecurrentConfig::Start;
  using Window = RecurrentConfig::Window;
  static const std::map<std::string, RecurrentChange> all{
      {"additive", [](auto&) {}},
      {"additive_normalised", [](auto& c) { c.score = "additive_normalised"; }},
      {"concat", [](auto& c) { c.score = "concat"; }},
      {"dot", [](auto& c) { c.score = "dot"; }},
      {"scaled_dot", [](auto& c) { c.bidirectional = false, c.score = "scaled_dot"; }},
      {"general", [](auto& c) { c.score = "general"; }},
      {"cosine", [](auto& c) { c.score = "cosine"; }},
      {"match", [](auto& c) { c.score = "match"; }},
      {"match_deep", [](auto& c) { c.score = "match", c.match_layers = 2; }},
      {"location", [](auto& c) { c.score = "location"; }},
      {"none", [](auto& c) { c.score = "none"; }},
      {"none_luong", [](auto& c) { c.score = "none", c.order = Order::luong; }},
      {"heads", [](auto& c) { c.attention_heads = 2; }},
      {"luong", [](auto& c) { c.order = Order::luong, c.score = "general"; }},
      {"luong_fed", [](auto& c) { c.order = Order::luong, c.score = "dot", c.input_feeding = true; }},
      {"conditional", [](auto& c) { c.order = Order::conditional; }},
      {"sparsemax", [](auto& c) { c.normaliser = Normaliser::sparsemax; }},
      {"monotonic", [](auto& c) { c.normaliser = Normaliser::monotonic; }},
      {"monotonic_luong", [](auto& c) { c.normaliser = Normaliser::monotonic, c.order = Order::luong; }},
      {"monotonic_dot", [](auto& c) { c.normaliser = Normaliser::monotonic, c.score = "general"; }},
      {"local_m", [](auto& c) { c.window = Window::local_m; }},
      {"local_m_luong", [](auto& c) { c.window = Window::local_m, c.order = Order::luong; }},
      {"local_p", [](auto& c) { c.window = Window::local_p; }},
      {"local_p_luong", [](auto& c) { c.window = Window::local_p, c.order = Order::luong; }},
      {"coverage", [](auto& c) { c.coverage = true; }},
      {"copy", [](auto& c) { c.copy = true; }},
      {"copy_luong", [](auto& c) { c.copy = true, c.order = Order::luong, c.score = "general"; }},
      {"copy_luong_fed", [](auto& c) { c.copy = true, c.order = Order::luong, c.input_feeding = true; }},
      {"copy_conditional", [](auto& c) { c.copy = true, c.order = Order::conditional; }},
      {"copy_heads", [](auto& c) { c.copy = true, c.attention_heads = 2; }},
      {"copy_coverage", [](auto& c) { c.copy = c.coverage = true; }},
      {"copy_location", [](auto& c) { c.copy = true, c.score = "location"; }},
      {"copy_monotonic", [](auto& c) { c.copy = true, c.normaliser = Normaliser::monotonic; }},
      {"copy_local_p", [](auto& c) { c.copy = true, c.window = Window::local_p, c.order = Order::luong; }},
      {"copy_untied", [](auto& c) { c.copy = true, c.tie_source_target = c.tie_output = false; }},
      {"lstm", [](auto& c) { c.cell = nn::Recurrence::lstm; }},
      {"lstm_luong", [](auto& c) { c.cell = nn::Recurrence::lstm, c.order = Order::luong; }},
      {"one_direction", [](auto& c) { c.bidirectional = false, c.score = "dot"; }},
      {"stacked", [](auto& c) { c.encoder_layers = 2, c.decoder_layers = 3; }},
      {"stacked_luong", [](auto& c) { c.decoder_layers = 2, c.order = Order::luong; }},
      {"start_zeros", [](auto& c) { c.start = Start::zeros; }},
      {"start_mean", [](auto& c) { c.start = Start::mean; }},
      {"untied", [](auto& c) { c.tie_source_target = c.tie_output = false, c.source_vocabulary = 17; }},
  };
  return all;
}

inline RecurrentConfig variant(const std::string& name) {
  RecurrentConfig config = small_recurrent_config();
  variants().at(name)(config);
  return config;
}

inline std::vector<std::string> variant_names() {
  std::vector<std::string> names;
  for (const auto& [name, change] : variants()) names.push_back(name);
  return names;
}

}  // namespace fovea::models
