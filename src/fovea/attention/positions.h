#pragma once

#include <string>

#include "fovea/nn/layers.h"
#include "fovea/tensor/tensor.h"

namespace fovea::attention {

/// Where sines and cosines of a row stand.
enum class SinusoidalOrder {
  halves,       ///< all sines, then all cosines: tensor2tensor, Marian, Hugging Face's MarianMT
  interleaved,  ///< sine, cosine, sine, ...: the paper
};

/// Sinusoidal positions, [positions, width]: of row p the i-th sine is sin(p / 10000^(2i/width)) and the i-th
/// cosine that angle's. The orders differ by a permutation that a model cannot see, its weights can. An odd
/// width has one more sine than cosines.
/// Source   Vaswani et al. 2017, section 3.5
Tensor sinusoidal_positions(std::int64_t positions, std::int64_t width,
                            SinusoidalOrder order = SinusoidalOrder::halves);

/// The same as tensor2tensor and fairseq compute it, [positions, width]: row p stands at first + p, and its
/// i-th angle is that times 10000^(-i / (width/2 - 1)), in floats, as those who trained with it. All sines,
/// then all cosines; an odd width ends in 0.
/// Source   Hugging Face's M2M100SinusoidalPositionalEmbedding
Tensor fairseq_positions(std::int64_t positions, std::int64_t width, std::int64_t first);

/// y[n] = x[n] + table[position[n]], the table learned (begins normal, deviation 0.02).
/// Shapes   x [N, D]; position [N] (i32; ops::positions_in makes it); table [positions, D]
/// Throws   Error(data) if a position lies beyond the table: the text is longer than the model can place
/// Source   Gehring et al. 2017, section 3.1; Devlin et al. 2019
class LearnedPositions {
 public:
  LearnedPositions(nn::Builder& builder, const std::string& name, std::int64_t positions, std::int64_t width);

  Tensor operator()(const ops::Context& ctx, const Tensor& x_ND, const Tensor& position) const;
  /// The table itself, to be added by ops::embed in one pass with the embedding.
  const Tensor& table() const { return table_->value; }
  /// Throws as operator() does.
  void expect_within(const Tensor& position) const;

 private:
  std::string name_;
  nn::Parameter* table_;
};

}  // namespace fovea::attention
