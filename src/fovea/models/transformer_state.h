#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "fovea/attention/multi_head.h"
#include "fovea/kernels/execution.h"
#include "fovea/models/translation_model.h"

namespace fovea::models {

/// What a decoder looks at of one source sentence: keys and values of each layer, as kernels::beam_attention
/// reads them. Made once; the hypotheses of the sentence share it.
class SourceMemory {
 public:
  /// For layers with such heads, and a sentence of `length` tokens.
  SourceMemory(const attention::HeadShape& heads, std::int64_t layers, std::int64_t length);

  /// Layer n from rows of keys and values, [length, H (E_k + E_v)].
  void set(kernels::KernelSet set, std::int64_t n, const float* keys_values);
  /// Neighbouring rows of a step that look at layer n.
  kernels::BeamQueries queries(std::int64_t n, std::int64_t first, std::int64_t count) const;

 private:
  std::int64_t layer_floats() const { return key_floats_ + length_ * heads_.heads * heads_.value_width; }

  attention::HeadShape heads_;
  std::int64_t length_, key_floats_;
  Tensor floats_;
};

/// A list of rows of the caches for each hypothesis: its past, oldest first. Lists lie one after another.
struct PastRows {
  std::vector<std::int64_t> start, count;  ///< [hypotheses]
  std::vector<std::int32_t> rows;

  std::span<const std::int32_t> of(std::int32_t hypothesis) const;
  void clear();
  /// Adds a hypothesis with these rows.
  void add(std::span<const std::int32_t> past);
};

/// Memory of a decoder's step for a share of its rows.
struct StepRoom {
  float* wide = nullptr;     ///< [N, the widest product of a sublayer]
  float* context = nullptr;  ///< [N, H E_v]
  float* out = nullptr;      ///< [N, D]
  float* normed = nullptr;   ///< [N, D], of pre-norm models
};

/// A part of a step's rows that one thread takes through all layers, or all of them; kept from step to step.
struct StepShare {
  explicit StepShare(kernels::KernelSet set) : alone(1, set), memory(1) {}

  kernels::ExecutionOwner alone;
  kernels::Workspace memory;                    // of the StepRoom
  std::vector<std::int32_t> position;           // of each row in its sentence
  std::vector<kernels::BeamQueries> sentences;  // that neighbouring rows look at
};

/// A decoder in mid-sentence: for each row its past, as rows of the caches, and the sentence that it
/// translates. All memory of a step is kept for the next: once lengths have been met, none is allocated.
struct TransformerState : TranslationState {
  std::vector<std::shared_ptr<const SourceMemory>> sentence;  ///< [rows]
  PastRows past;
  std::vector<attention::HypothesisCache> cache;   ///< of the tokens so far, a layer each
  Tensor distance_bias;                            ///< [H, distances], of relative positions only
  Tensor states;                                   ///< [at least rows, D] that the last step made
  std::vector<std::unique_ptr<StepShare>> shares;  ///< what steps work with

  std::int64_t rows() const override { return static_cast<std::int64_t>(sentence.size()); }
  void reorder(std::span<const std::int32_t> parents) override;
  /// Adds the rows of a state that has not stepped yet.
  void append(const TransformerState& fresh);

  /// Adds a token to the past of each row, in a row of the caches that no past names; returns how many rows
  /// the caches must have.
  std::int64_t add_tokens();
  /// What rows first .. first + count - 1 look back at.
  attention::SelfAttention::Past past_of(std::int64_t first, std::int64_t count) const;

 private:
  std::vector<std::int32_t> slot_;  // [rows] that add_tokens() chose
  std::vector<std::int64_t> number_, one_;
  std::vector<std::uint8_t> used_;  // by row of the caches
  // What the next rows are made in.
  std::vector<std::shared_ptr<const SourceMemory>> next_sentence_;
  PastRows next_past_;
};

}  // namespace fovea::models
