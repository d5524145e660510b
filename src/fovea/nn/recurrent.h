#pragma once

#include <string>
#include <vector>

#include "fovea/nn/layers.h"
#include "fovea/ops/recurrent.h"
#include "fovea/ops/step_linear.h"

namespace fovea::nn {

using ops::Recurrence;
using ops::RecurrentOutput;
using ops::RecurrentState;
using ops::TimeOrder;

/// How the weights of a recurrent layer begin.
///   glorot_orthogonal   W_i by Glorot and Bengio's rule, each gate of W_h a random orthogonal matrix, biases
///   0 torch               everything uniform in +-1/sqrt(H), as torch.nn.GRU and LSTM do
/// A language model of characters (Multi30k, 128 wide, 300 updates, nats a character, two seeds): one
/// layer 1.89 and 1.79 against torch's 1.88 and 1.82, two layers 1.65 and 1.57 against 1.82 and 1.69 (gru);
/// two layers of lstm 2.11 and 2.01 against 2.19 and 2.19, no better with a forget bias of 1. Source   Glorot
/// and Bengio 2010; Saxe et al. 2014
enum class RecurrentInitial : std::uint8_t { glorot_orthogonal, torch };

/// What a layer and a cell of a decoder share.
struct RecurrentOptions {
  Recurrence cell = Recurrence::gru;
  std::int64_t input = 0;      ///< width of x
  std::int64_t hidden = 0;     ///< H
  std::int64_t layers = 1;     ///< stacked; a RecurrentCell has one
  bool bidirectional = false;  ///< a RecurrentCell is not
  float dropout = 0.0f;        ///< between layers
  bool variational = false;    ///< that dropout with one mask for all steps (Gal and Ghahramani 2016)
  float state_dropout = 0.0f;  ///< of what W_h sees, one mask for all steps
  RecurrentInitial initial = RecurrentInitial::glorot_orthogonal;
  float forget_bias = 0.0f;  ///< lstm: where b_ih of the forget gate begins; 1 after Jozefowicz et al. 2015
};

/// Stacked GRU or LSTM layers over packed sequences. Names of parameters under `name` are torch's:
/// weight_ih_l0 [G*H, in], weight_hh_l0 [G*H, H], bias_ih_l0, bias_hh_l0 [G*H], for later layers _l1 and so
/// on, for backward in time with _reverse.
class Recurrent {
 public:
  /// Throws Error(bug) if a width or the number of layers is not positive.
  Recurrent(Builder& builder, const std::string& name, const RecurrentOptions& options);

  struct Output {
    Tensor h_NC;                       ///< [N, D*H], of the last layer
    std::vector<RecurrentState> last;  ///< of each layer [B, D*H]: forward's H columns, then backward's
  };
  /// `first`: of each layer [B, D*H], or empty: zeros.
  Output operator()(const ops::Context& ctx, const Tensor& x_ND,
                    const std::shared_ptr<const ops::Sequences>& sequences,
                    const std::vector<RecurrentState>& first = {}) const;

  const RecurrentOptions& options() const { return options_; }
  std::int64_t output_width() const { return options_.hidden * (options_.bidirectional ? 2 : 1); }

 private:
  struct Layer {
    Parameter *W_i, *b_i, *W_h, *b_h;
    std::uint32_t input_site, state_site;
  };
  RecurrentOptions options_;
  std::vector<Layer> layers_;
};

/// One recurrent layer of a decoder: over whole sequences where every input is known beforehand, or step by
/// step where a step needs what the one before produced. Both give the same bits.
///
///   const Tensor x = cell.project(ctx, embedded_NI);          // one product for all steps
///   const RecurrentCell::Loop loop(ctx, cell, B);             // before the steps: backward comes here last
///   for (t ...) state = loop.step(ctx, rows of x, state);     // or, with what is fed back, step(..,
///   feedback)
class RecurrentCell {
 public:
  /// `feedback`: width of a second input that is known only at its step (a context vector), with a weight of
  /// its own, `weight_fh_l0` [G*H, feedback]; 0: none. Layers, bidirectional and dropout between layers do
  /// not apply.
  RecurrentCell(Builder& builder, const std::string& name, const RecurrentOptions& options,
                std::int64_t feedback = 0);

  /// x W_i^T + b_i: [N, in] -> [N, G*H].
  Tensor project(const ops::Context& ctx, const Tensor& x_NI) const;

  /// All steps without feedback.
  RecurrentOutput whole(const ops::Context& ctx, const Tensor& x_projection, const RecurrentState& first,
                        const std::shared_ptr<const ops::Sequences>& sequences) const;

  /// What a step is given: its row of project(), or x itself, where that is known at its step only.
  enum class Given { projection, input };

  /// Steps of one batch. Rows of a step are the first R of its B sequences (longest first).
  class Loop {
   public:
    Loop(const ops::Context& ctx, const RecurrentCell& cell, std::int64_t B, Given given = Given::projection);
    /// x_projection [R, G*H] (or x [R, in]), state [R, H] (undefined: zeros), feedback [R, feedback] if the
    /// cell has one.
    RecurrentState step(const ops::Context& ctx, const Tensor& x_projection, const RecurrentState& state,
                        const Tensor& feedback = {}) const;

   private:
    Recurrence cell_;
    std::int64_t H_;
    std::vector<ops::StepLinear> feedback_, input_;  // one, or none
    ops::StepLinear hidden_;
    Tensor mask_;  // [B, H] or undefined
  };

  const RecurrentOptions& options() const { return options_; }
  std::int64_t hidden() const { return options_.hidden; }
  std::int64_t gate_rows() const { return kernels::gates_of(options_.cell) * options_.hidden; }  ///< G*H

 private:
  RecurrentOptions options_;
  Parameter *W_i_, *b_i_, *W_h_, *b_h_, *W_f_;
  std::uint32_t state_site_;
};

}  // namespace fovea::nn
