#pragma once

#include <cstdint>

#include "fovea/kernels/execution.h"

namespace fovea::kernels {

/// The recurrent cells, with PyTorch's equations and order of gates, so that weights can be exchanged. With
/// x = x_projection (W_i x_t + b_i) and u = W_h h_{t-1} + b_h:
///   gru    r = sigmoid(x_r + u_r)   z = sigmoid(x_z + u_z)   n = tanh(x_n + r u_n)   h = n + z (h_{t-1} - n)
///   lstm   i, f, o = sigmoid(x + u)   g = tanh(x_g + u_g)   c = f c_{t-1} + i g   h = o tanh(c);  order i,
///   f, g, o
/// Source   Cho et al. 2014 in the form of cuDNN, where r stands outside of W_h; Hochreiter and Schmidhuber
/// 1997
///          with the forget gates of Gers et al. 2000
enum class Recurrence : std::uint8_t { gru, lstm };

/// Gates of a cell: how often H its projections are wide.
constexpr std::int64_t gates_of(Recurrence cell) { return cell == Recurrence::gru ? 3 : 4; }

/// In which direction time runs; `both` is two layers beside each other, forward first.
enum class TimeOrder : std::uint8_t { forward, backward, both };

/// A layer over packed sequences: sequence b is rows start[b] .. start[b] + count[b] - 1; every row belongs
/// to one. G = gates_of(cell), D = directions().
struct RecurrentExtents {
  Recurrence cell = Recurrence::gru;
  TimeOrder order = TimeOrder::forward;
  std::int64_t N = 0;  ///< rows
  std::int64_t B = 0;  ///< sequences
  std::int64_t H = 0;  ///< width of the state
  const std::int64_t* start = nullptr;
  const std::int64_t* count = nullptr;

  std::int64_t directions() const { return order == TimeOrder::both ? 2 : 1; }
  std::int64_t gates() const { return gates_of(cell); }
};

/// Arguments of recurrent_forward; of double where tests want that.
template <class Real>
struct BasicRecurrentForward {
  RecurrentExtents extents;
  const Real* x_projection = nullptr;  ///< [N, D*G*H]
  const Real* W_h = nullptr;           ///< [D*G*H, H]
  const Real* b_h = nullptr;           ///< [D*G*H] or null
  const Real* h0 = nullptr;            ///< [B, D*H] or null: zeros
  const Real* c0 = nullptr;            ///< lstm: [B, D*H] or null: zeros
  const Real* mask = nullptr;          ///< [B, D*H]: W_h sees h * mask at every step; or null
  Real* h = nullptr;                   ///< [N, D*H]
  Real* last_h = nullptr;              ///< [B, D*H] or null: after the last step; of an empty sequence h0
  Real* last_c = nullptr;              ///< lstm: [B, D*H] or null
  // What backward needs; both or none.
  Real* gates = nullptr;  ///< [N, D*G*H] after their activations; may be x_projection
  Real* inner = nullptr;  ///< [N, D*H]  gru: u_n, lstm: c
};
using RecurrentForward = BasicRecurrentForward<float>;

/// All steps of a layer. Sequences are cut among threads, each of which runs the steps of its own without
/// waiting for others; a row of h has the same bits whatever threads and other sequences there are.
/// Cost  2 N D G H^2 operations, W_h read once a step and thread. Uses slots 2 and 3 of the workspace.
void recurrent_forward(const Execution& exec, const RecurrentForward& call);

/// Arguments of recurrent_backward: what forward was told and found, the gradients that arrive and those that
/// are wanted.
template <class Real>
struct BasicRecurrentBackward {
  RecurrentExtents extents;
  const Real* W_h = nullptr;
  const Real* h0 = nullptr;
  const Real* c0 = nullptr;
  const Real* mask = nullptr;
  const Real* h = nullptr;
  const Real* gates = nullptr;
  Real* inner = nullptr;           ///< gru: overwritten
  const Real* d_h = nullptr;       ///< [N, D*H], or null if none arrived
  const Real* d_last_h = nullptr;  ///< [B, D*H] or null
  const Real* d_last_c = nullptr;  ///< lstm: [B, D*H] or null
  Real* d_x_projection = nullptr;  ///< [N, D*G*H]; may be `gates`
  Real* d_W_h = nullptr;           ///< added to; or null
  Real* d_b_h = nullptr;           ///< added to; or null
  Real* d_h0 = nullptr;            ///< written; or null
  Real* d_c0 = nullptr;            ///< lstm: written; or null
};
using RecurrentBackward = BasicRecurrentBackward<float>;

/// Gradients of a layer: back through the steps as forward went, then d_W_h and d_b_h over all rows at once.
/// Same bits for any number of threads. Uses slots 0, 1, 2, 3, 5 and 6 of the workspace.
void recurrent_backward(const Execution& exec, const RecurrentBackward& call);

/// One step of R rows whose projections are known: the gates alone.
template <class Real>
struct BasicCellForward {
  Recurrence cell = Recurrence::gru;
  std::int64_t R = 0, H = 0;
  const Real* x_projection = nullptr;  ///< [R, G*H]
  const Real* h_projection = nullptr;  ///< [R, G*H]: u
  const Real* h_previous = nullptr;    ///< [R, H] (gru)
  const Real* c_previous = nullptr;    ///< [R, H] (lstm)
  Real* h = nullptr;                   ///< [R, H]
  Real* c = nullptr;                   ///< [R, H] (lstm)
  Real* gates = nullptr;               ///< [R, G*H] or null; may be x_projection
  Real* u_n = nullptr;                 ///< [R, H] (gru) or null
};
using CellForward = BasicCellForward<float>;
void recurrent_cell_forward(const Execution& exec, const CellForward& call);

template <class Real>
struct BasicCellBackward {
  Recurrence cell = Recurrence::gru;
  std::int64_t R = 0, H = 0;
  const Real* gates = nullptr;
  const Real* u_n = nullptr;         ///< [R, H] (gru)
  const Real* h_previous = nullptr;  ///< [R, H] (gru)
  const Real* c_previous = nullptr;  ///< [R, H] (lstm)
  const Real* c = nullptr;           ///< [R, H] (lstm)
  const Real* d_h = nullptr;         ///< [R, H], or null
  const Real* d_c = nullptr;         ///< [R, H] (lstm), or null
  Real* d_x_projection = nullptr;    ///< [R, G*H]; may be `gates`
  Real* d_h_projection = nullptr;    ///< [R, G*H] (gru; lstm: null, it is d_x_projection)
  Real* d_h_previous = nullptr;      ///< [R, H] (gru): the share that does not go through u; may be u_n
  Real* d_c_previous = nullptr;      ///< [R, H] (lstm)
};
using CellBackward = BasicCellBackward<float>;
void recurrent_cell_backward(const Execution& exec, const CellBackward& call);

}  // namespace fovea::kernels
