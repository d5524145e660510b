#pragma once

#include <memory>

#include "fovea/kernels/recurrent.h"
#include "fovea/ops/attention.h"

namespace fovea::ops {

using kernels::Recurrence;
using kernels::TimeOrder;

struct RecurrentOptions {
  Recurrence cell = Recurrence::gru;
  TimeOrder order = TimeOrder::forward;
  /// Variational dropout of the state (Gal and Ghahramani 2016): W_h sees h * m, one m a sequence
  /// for all steps.
  Dropping state_dropping = {};
  /// The projection is nobody else's: its memory may be overwritten, which saves a pass.
  bool projection_is_spent = false;
};

/// What a state is: h, and c of an LSTM (else undefined).
struct RecurrentState {
  Tensor h, c;
};

struct RecurrentOutput {
  /// [N, D*H], every row's state; direction d in columns d*H .. (d+1)*H - 1.
  Tensor h_NC;
  /// [B, D*H] after the last step of each direction; of an empty sequence the first state.
  RecurrentState last;
};

/// A recurrent layer over packed sequences; equations: kernels/recurrent.h.
/// Shapes   x_projection [N, D*G*H] = x W_i^T + b_i, G = 3 (gru) or 4 (lstm) gates, D = 1 or 2 directions;
///          W_h [D*G*H, H]; b_h [D*G*H] or undefined; first.h, first.c [B, D*H] or undefined: zeros
/// Needs    sequences one after another that cover every row (Sequences::packed)
/// Throws   Error(bug) naming the shapes if they disagree
RecurrentOutput recurrent_layer(const Context& ctx, const Tensor& x_projection, const Tensor& W_h,
                                const Tensor& b_h, const RecurrentState& first,
                                const std::shared_ptr<const Sequences>& sequences,
                                const RecurrentOptions& options = {});

/// One step of a GRU whose projections are known: for a decoder that steps by itself.
/// Shapes   x_projection = W_i x + b_i and h_projection = W_h h + b_h [R, 3H]; h [R, H]; result [R, H]
Tensor gru_cell(const Context& ctx, const Tensor& x_projection, const Tensor& h_projection, const Tensor& h);

/// One step of an LSTM: projections [R, 4H], c [R, H].
RecurrentState lstm_cell(const Context& ctx, const Tensor& x_projection, const Tensor& h_projection,
                         const Tensor& c);

}  // namespace fovea::ops
