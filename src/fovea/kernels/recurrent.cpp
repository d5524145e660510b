#include "fovea/kernels/recurrent.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "fovea/kernels/column_sum.h"
#include "fovea/kernels/cpu/functions.h"
#include "fovea/kernels/cpu/loops.h"
#include "fovea/kernels/gemm.h"
#include "fovea/kernels/reference/recurrent.h"
#include "fovea/kernels/row_blocks.h"

#define FOVEA_BODY "fovea/kernels/cpu/recurrent.inl"
#include "fovea/kernels/cpu/for_each_isa.h"

namespace fovea::kernels {
namespace {

using CellFunction = void(const CellRow<float>&);
using CellBackwardFunction = void(const CellRowGradient<float>&);

CellFunction* cell_of(KernelSet set, Recurrence cell) {
  if (cell == Recurrence::gru)
    return choose(set, &reference::gru_row<float>, &cpu::plain::gru_row, &cpu::avx2::gru_row,
                  &cpu::avx512::gru_row);
  return choose(set, &reference::lstm_row<float>, &cpu::plain::lstm_row, &cpu::avx2::lstm_row,
                &cpu::avx512::lstm_row);
}

CellBackwardFunction* cell_backward_of(KernelSet set, Recurrence cell) {
  if (cell == Recurrence::gru)
    return choose(set, &reference::gru_row_backward<float>, &cpu::plain::gru_row_backward,
                  &cpu::avx2::gru_row_backward, &cpu::avx512::gru_row_backward);
  return choose(set, &reference::lstm_row_backward<float>, &cpu::plain::lstm_row_backward,
                &cpu::avx2::lstm_row_backward, &cpu::avx512::lstm_row_backward);
}

// Sequences of one direction that one thread runs, longest first.
struct Part {
  std::int64_t direction = 0;
  std::vector<std::int64_t> sequences;
};

// Threads share out the directions first, since each has a matrix of its own to keep in its cache, then
// sequences: dealt out by length, forth and back, so that every part has about the same number of steps and
// rows. A tile of a product has 6 rows; parts of fewer sequences would read W_h more often than they gain.
std::vector<Part> cut_in_parts(const RecurrentExtents& x, int threads) {
  constexpr std::int64_t fewest = 6;
  const std::int64_t D = x.directions();
  std::int64_t groups = threads % D == 0 ? threads / D : threads;
  groups = std::clamp<std::int64_t>((x.B + fewest - 1) / fewest, 1, groups);
  std::vector<std::int64_t> order(static_cast<std::size_t>(x.B));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return x.count[a] > x.count[b]; });
  std::vector<Part> parts(static_cast<std::size_t>(D * groups));
  for (std::int64_t d = 0; d < D; ++d)
    for (std::int64_t group = 0; group < groups; ++group) {
      Part& part = parts[static_cast<std::size_t>(d * groups + group)];
      part.direction = d;
      for (std::int64_t round = 0; round * groups < x.B; ++round) {
        const std::int64_t i = round * groups + (round % 2 == 0 ? group : groups - 1 - group);
        if (i < x.B) part.sequences.push_back(order[static_cast<std::size_t>(i)]);
      }
    }
  return parts;
}

// W_h of each direction in the order in which the steps' products read it, in slot 2.
std::vector<PackedMatrix> pack_weights(const Execution& exec, const RecurrentExtents& x, const float* W_h,
                                       bool transposed) {
  const std::int64_t GH = x.gates() * x.H, K = transposed ? x.H : GH, N = transposed ? GH : x.H;
  const std::size_t floats = (packed_floats(exec, K, N) + 15) / 16 * 16;
  float* memory = exec.workspace->get(0, 2, floats * static_cast<std::size_t>(x.directions()));
  std::vector<PackedMatrix> packed;
  for (std::int64_t d = 0; d < x.directions(); ++d)
    packed.push_back(pack_b(exec, K, N, W_h + d * GH * x.H, x.H, transposed,
                            memory + static_cast<std::size_t>(d) * floats));
  return packed;
}

// Pieces of a worker's memory, each on lines of its own.
class Pieces {
 public:
  std::size_t add(std::int64_t floats) {
    const std::size_t at = used_;
    used_ += (static_cast<std::size_t>(floats) + 15) / 16 * 16;
    return at;
  }
  std::size_t used() const { return used_; }

 private:
  std::size_t used_ = 0;
};

template <class Run>
void run_parts(const Execution& exec, const std::vector<Part>& parts, const Run& run) {
  const auto stride = static_cast<std::size_t>(exec.pool->size());
  const auto work = [&](int worker) {
    for (auto i = static_cast<std::size_t>(worker); i < parts.size(); i += stride) run(parts[i], worker);
  };
  if (parts.size() == 1) return work(0);
  exec.pool->run(work);
}

// What the steps of a part have in common, forward and backward.
struct Steps {
  const RecurrentExtents& x;
  const Part& part;
  std::int64_t H = x.H, D = x.directions(), GH = x.gates() * x.H, d = part.direction;
  std::int64_t rows = static_cast<std::int64_t>(part.sequences.size());

  std::int64_t sequence(std::int64_t i) const { return part.sequences[static_cast<std::size_t>(i)]; }
  std::int64_t length(std::int64_t i) const { return x.count[sequence(i)]; }
  std::int64_t longest() const { return rows ? length(0) : 0; }
  std::int64_t alive(std::int64_t t, std::int64_t at_most) const {
    while (at_most > 0 && length(at_most - 1) <= t) --at_most;
    return at_most;
  }
  /// Number of a vector of H (or of gates) in matrices [N, D, .] and [B, D, .].
  std::int64_t of_step(std::int64_t i, std::int64_t t) const {
    return reference::row_of_step(x, d, sequence(i), t) * D + d;
  }
  std::int64_t of_sequence(std::int64_t i) const { return sequence(i) * D + d; }
};

// Of zeros: the bias alone.
void first_projection(std::int64_t rows, std::int64_t GH, const float* bias, float* u) {
  for (std::int64_t i = 0; i < rows; ++i)
    if (bias)
      std::copy_n(bias, GH, u + i * GH);
    else
      std::fill_n(u + i * GH, GH, 0.0f);
}

void run_forward(const Execution& exec, int worker, const RecurrentForward& call, const Part& part,
                 const PackedMatrix& W) {
  const Steps steps{call.extents, part};
  const std::int64_t H = steps.H, GH = steps.GH, rows = steps.rows;
  const bool lstm = call.extents.cell == Recurrence::lstm;
  Pieces pieces;
  const auto fed_at = pieces.add(rows * H), u_at = pieces.add(rows * GH),
             c_at = pieces.add(lstm ? rows * H : 0), zero_at = pieces.add(H);
  float* const memory = exec.workspace->get(worker, 3, pieces.used());
  float *const fed = memory + fed_at, *const u = memory + u_at, *const zeros = memory + zero_at;
  std::fill_n(zeros, H, 0.0f);
  CellFunction* const cell = cell_of(exec.kernels, call.extents.cell);
  const auto multiply = choose(exec.kernels, &cpu::plain::multiply_row, &cpu::plain::multiply_row,
                               &cpu::avx2::multiply_row, &cpu::avx512::multiply_row);
  // What W_h sees of a state.
  const auto feed = [&](std::int64_t i, const float* h) {
    if (call.mask)
      multiply(H, h, call.mask + steps.of_sequence(i) * H, fed + i * H);
    else
      std::copy_n(h, H, fed + i * H);
  };
  const auto first = [&](const float* state, std::int64_t i) {
    return state ? state + steps.of_sequence(i) * H : zeros;
  };
  for (std::int64_t i = 0; i < rows; ++i) {
    feed(i, first(call.h0, i));
    if (lstm) std::copy_n(first(call.c0, i), H, memory + c_at + static_cast<std::size_t>(i * H));
  }
  const float* bias = call.b_h ? call.b_h + steps.d * GH : nullptr;
  for (std::int64_t t = 0, alive = rows; t < steps.longest(); ++t) {
    alive = steps.alive(t, alive);
    if (t > 0 || call.h0)
      gemm_serial(exec, worker, {.M = alive, .N = GH, .K = H, .lda = H, .ldc = GH}, fed, W, u,
                  {.bias = bias});
    else
      first_projection(alive, GH, bias, u);
    for (std::int64_t i = 0; i < alive; ++i) {
      const std::int64_t at = steps.of_step(i, t);
      float *const h = call.h + at * H, *const kept = call.inner ? call.inner + at * H : nullptr;
      float* const c = memory + c_at + static_cast<std::size_t>(lstm ? i * H : 0);
      cell({H, call.x_projection + at * GH, u + i * GH,
            t > 0 ? call.h + steps.of_step(i, t - 1) * H : first(call.h0, i), c, h, c,
            call.gates ? call.gates + at * GH : nullptr, kept});
      if (lstm && kept) std::copy_n(c, H, kept);
      feed(i, h);
    }
  }
  for (std::int64_t i = 0; i < rows; ++i) {
    const std::int64_t own = steps.of_sequence(i), T = steps.length(i);
    if (call.last_h)
      std::copy_n(T > 0 ? call.h + steps.of_step(i, T - 1) * H : first(call.h0, i), H, call.last_h + own * H);
    if (lstm && call.last_c)
      std::copy_n(memory + c_at + static_cast<std::size_t>(i * H), H, call.last_c + own * H);
  }
}

// `fed` [D, N, H] gets what W_h saw at each row, for the gradient of W_h.
void run_backward(const Execution& exec, int worker, const RecurrentBackward& call, const Part& part,
                  const PackedMatrix& W, float* all_fed) {
  const Steps steps{call.extents, part};
  const std::int64_t H = steps.H, GH = steps.GH, rows = steps.rows;
  const bool lstm = call.extents.cell == Recurrence::lstm;
  Pieces pieces;
  const auto d_h_at = pieces.add(rows * H), d_u_at = pieces.add(rows * GH),
             d_c_at = pieces.add(lstm ? rows * H : 0), d_fed_at = pieces.add(call.mask ? rows * H : 0),
             zero_at = pieces.add(H);
  float* const memory = exec.workspace->get(worker, 3, pieces.used());
  float *const d_h = memory + d_h_at, *const d_u = memory + d_u_at, *const d_c = memory + d_c_at;
  float *const d_fed = call.mask ? memory + d_fed_at : d_h, *const zeros = memory + zero_at;
  std::fill_n(zeros, H, 0.0f);
  CellBackwardFunction* const cell = cell_backward_of(exec.kernels, call.extents.cell);
  const auto multiply = choose(exec.kernels, &cpu::plain::multiply_row, &cpu::plain::multiply_row,
                               &cpu::avx2::multiply_row, &cpu::avx512::multiply_row);
  const auto add = choose(exec.kernels, &cpu::plain::add_to_row, &cpu::plain::add_to_row,
                          &cpu::avx2::add_to_row, &cpu::avx512::add_to_row);
  const auto first = [&](const float* state, std::int64_t i) {
    return state ? state + steps.of_sequence(i) * H : zeros;
  };
  for (std::int64_t i = 0; i < rows; ++i) {
    std::copy_n(first(call.d_last_h, i), H, d_h + i * H);
    if (lstm) std::copy_n(first(call.d_last_c, i), H, d_c + i * H);
  }
  float* const fed = all_fed + steps.d * call.extents.N * H;
  for (std::int64_t t = steps.longest() - 1; t >= 0; --t) {
    const std::int64_t alive = steps.alive(t, rows);
    for (std::int64_t i = 0; i < alive; ++i) {
      const std::int64_t at = steps.of_step(i, t), before = t > 0 ? steps.of_step(i, t - 1) : 0;
      const float* h_previous = t > 0 ? call.h + before * H : first(call.h0, i);
      const float* c_previous = !lstm ? nullptr : t > 0 ? call.inner + before * H : first(call.c0, i);
      float *const own_d_h = d_h + i * H, *const d_x = call.d_x_projection + at * GH,
                   *const own_d_u = d_u + i * GH;
      float* const inner = call.inner + at * H;
      if (call.d_h) add(H, call.d_h + at * H, own_d_h);
      cell({H, call.gates + at * GH, inner, h_previous, c_previous, inner, own_d_h, own_d_h,
            d_c + (lstm ? i * H : 0), d_x, own_d_u});
      if (lstm)
        std::copy_n(d_x, GH, own_d_u);
      else
        std::copy_n(own_d_u + 2 * H, H, inner);  // the one part of d_u that d_x is not
      float* const saw = fed + at / steps.D * H;
      if (call.mask)
        multiply(H, h_previous, call.mask + steps.of_sequence(i) * H, saw);
      else
        std::copy_n(h_previous, H, saw);
    }
    if (t == 0 && !call.d_h0) break;
    gemm_serial(exec, worker, {.M = alive, .N = H, .K = GH, .lda = GH, .ldc = H}, d_u, W, d_fed,
                {.accumulate = !lstm && !call.mask});
    for (std::int64_t i = 0; call.mask && i < alive; ++i) {
      multiply(H, d_fed + i * H, call.mask + steps.of_sequence(i) * H, d_fed + i * H);
      if (lstm) std::fill_n(d_h + i * H, H, 0.0f);
      add(H, d_fed + i * H, d_h + i * H);
    }
  }
  for (std::int64_t i = 0; i < rows; ++i) {
    if (call.d_h0) std::copy_n(d_h + i * H, H, call.d_h0 + steps.of_sequence(i) * H);
    if (lstm && call.d_c0) std::copy_n(d_c + i * H, H, call.d_c0 + steps.of_sequence(i) * H);
  }
}

// d_W_h += d_u^T fed and d_b_h += column sums of d_u, over all rows. Of a gru d_u is d_x_projection but for
// its last H columns, which backward left in `inner`.
void weight_gradients(const Execution& exec, const RecurrentBackward& call, const float* fed) {
  const RecurrentExtents& x = call.extents;
  const std::int64_t N = x.N, H = x.H, D = x.directions(), GH = x.gates() * H;
  const bool gru = x.cell == Recurrence::gru;
  const auto add_product = [&](std::int64_t rows, const float* d_u, std::int64_t stride, std::int64_t d,
                               float* d_W) {
    gemm(exec, {.M = rows, .N = H, .K = N, .lda = stride, .ldb = H, .ldc = H, .transpose_a = true}, d_u,
         fed + d * N * H, d_W, {.accumulate = true});
  };
  for (std::int64_t d = 0; call.d_W_h && d < D; ++d) {
    float* d_W = call.d_W_h + d * GH * H;
    add_product(gru ? 2 * H : GH, call.d_x_projection + d * GH, D * GH, d, d_W);
    if (gru) add_product(H, call.inner + d * H, D * H, d, d_W + 2 * H * H);
  }
  if (!call.d_b_h) return;
  const auto add = choose(exec.kernels, &cpu::plain::add_to_row, &cpu::plain::add_to_row,
                          &cpu::avx2::add_to_row, &cpu::avx512::add_to_row);
  const float* sums =
      sum_over_rows(exec, N, D * GH, [&](std::int64_t begin, std::int64_t end, float* partial) {
        for (std::int64_t n = begin; n < end; ++n)
          for (std::int64_t d = 0; d < D; ++d) {
            add(gru ? 2 * H : GH, call.d_x_projection + (n * D + d) * GH, partial + d * GH);
            if (gru) add(H, call.inner + (n * D + d) * H, partial + d * GH + 2 * H);
          }
      });
  if (sums) add(D * GH, sums, call.d_b_h);
}

}  // namespace

void recurrent_forward(const Execution& exec, const RecurrentForward& call) {
  if (call.extents.B == 0 || call.extents.H == 0) return;
  if (exec.kernels == KernelSet::reference) return reference::recurrent_forward(call);
  const std::vector<Part> parts = cut_in_parts(call.extents, exec.pool->size());
  const std::vector<PackedMatrix> W = pack_weights(exec, call.extents, call.W_h, true);
  run_parts(exec, parts, [&](const Part& part, int worker) {
    run_forward(exec, worker, call, part, W[static_cast<std::size_t>(part.direction)]);
  });
}

void recurrent_backward(const Execution& exec, const RecurrentBackward& call) {
  const RecurrentExtents& x = call.extents;
  if (x.B == 0 || x.H == 0) return;
  if (exec.kernels == KernelSet::reference) return reference::recurrent_backward(call);
  const std::vector<Part> parts = cut_in_parts(x, exec.pool->size());
  const std::vector<PackedMatrix> W = pack_weights(exec, x, call.W_h, false);
  float* fed = exec.workspace->get(0, 5, static_cast<std::size_t>(x.directions() * x.N * x.H));
  run_parts(exec, parts, [&](const Part& part, int worker) {
    run_backward(exec, worker, call, part, W[static_cast<std::size_t>(part.direction)], fed);
  });
  weight_gradients(exec, call, fed);
}

void recurrent_cell_forward(const Execution& exec, const CellForward& a) {
  CellFunction* const cell = cell_of(exec.kernels, a.cell);
  const std::int64_t H = a.H, GH = gates_of(a.cell) * H;
  const auto at = [H](auto* matrix, std::int64_t r) { return matrix ? matrix + r * H : nullptr; };
  exec.pool->parallel_for(a.R, rows_a_thread(4 * GH), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r)
      cell({H, a.x_projection + r * GH, a.h_projection + r * GH, at(a.h_previous, r), at(a.c_previous, r),
            at(a.h, r), at(a.c, r), a.gates ? a.gates + r * GH : nullptr, at(a.u_n, r)});
  });
}

void recurrent_cell_backward(const Execution& exec, const CellBackward& a) {
  CellBackwardFunction* const cell = cell_backward_of(exec.kernels, a.cell);
  const bool lstm = a.cell == Recurrence::lstm;
  const std::int64_t H = a.H, GH = gates_of(a.cell) * H;
  const auto at = [H](auto* matrix, std::int64_t r) { return matrix ? matrix + r * H : nullptr; };
  const std::vector<float> zeros(static_cast<std::size_t>(H));
  exec.pool->parallel_for(a.R, rows_a_thread(4 * GH), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      if (lstm) std::copy_n(a.d_c ? at(a.d_c, r) : zeros.data(), H, at(a.d_c_previous, r));
      cell({H, a.gates + r * GH, at(a.u_n, r), at(a.h_previous, r), at(a.c_previous, r), at(a.c, r),
            a.d_h ? at(a.d_h, r) : zeros.data(), at(a.d_h_previous, r), at(a.d_c_previous, r),
            a.d_x_projection + r * GH, a.d_h_projection ? a.d_h_projection + r * GH : nullptr});
    }
  });
}

}  // namespace fovea::kernels
