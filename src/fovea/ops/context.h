#pragma once

#include <cstdint>
#include <string_view>

#include "fovea/base/random.h"
#include "fovea/kernels/execution.h"
#include "fovea/ops/tape.h"

namespace fovea::ops {

/// Receives what a model looks at while it runs; see attention/record.h for the one that keeps it.
class Recorder {
 public:
  virtual ~Recorder() = default;
  /// Whether weights of this place are wanted: they cost a [T,S] matrix.
  virtual bool wants(std::string_view place) const = 0;
  /// Weights of one call: sequence after sequence, each [H, T_b, S_b]; `place` as "decoder.3.cross".
  virtual void attention(std::string_view place, const Tensor& weights) = 0;
};

/// What a forward pass is told beside its inputs: how to run, whether it trains, where chance comes from, who
/// watches. Passed along; nothing global decides what a function does.
struct Context {
  kernels::Execution exec;
  Tape* tape = nullptr;          ///< records for backward(); none: inference
  bool training = false;         ///< dropout is on
  std::uint64_t seed = 0;        ///< of all random numbers
  std::uint32_t update = 0;      ///< number of the training update: other random numbers each
  Recorder* recorder = nullptr;  ///< who watches, or none

  /// Dropout of share p at a place of the program with a number of its own; off unless training.
  Dropout dropout(float p, std::uint32_t site) const {
    return training && p > 0.0f ? Dropout{p, RandomKey::of(seed, update, site)} : Dropout{};
  }
  /// Whether an operation on these inputs has to be recorded.
  bool records(std::initializer_list<const Tensor*> inputs) const {
    if (!tape) return false;
    for (const Tensor* input : inputs)
      if (input->requires_grad()) return true;
    return false;
  }
};

}  // namespace fovea::ops
