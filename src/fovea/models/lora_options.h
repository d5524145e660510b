#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fovea::models {

/// What low-rank adapters are made of; models/lora.h.
struct LoraOptions {
  static constexpr std::int64_t usual_rank = 8;

  std::int64_t rank = 0;         ///< r; 0: there are none
  double alpha = 8;              ///< what A and B give is multiplied by alpha / r
  double dropout = 0;            ///< on what A reads
  bool rank_stabilised = false;  ///< multiplied by alpha / sqrt(r) instead (Kalajdzievski 2023)
  /// Modules, by the ends of their names; "all-linear": all but the output layer; empty: those of attention
  /// that PEFT takes for the family.
  std::vector<std::string> targets = {};
};

}  // namespace fovea::models
