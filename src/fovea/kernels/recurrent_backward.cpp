#include "fovea/kernels/cpu/recurrent_parts.h"
#include "fovea/kernels/row_blocks.h"

namespace fovea::kernels {
namespace {

// The steps of one part, from the last to the first. Matrices of its own have a row a sequence.
class BackwardPart {
 public:
  /// `fed` [D, N, H] gets what W_h saw at each row, for its gradient.
  BackwardPart(const Execution& exec, int worker, const RecurrentBackward& call, const RecurrentPart& part,
               const PackedMatrix& W, float* fed)
      : exec_(exec),
        worker_(worker),
        call_(call),
        steps_(call.extents, part),
        kernels_(recurrent_rows(exec.kernels, call.extents.cell)),
        W_(W),
        fed_(fed + part.direction * call.extents.N * call.extents.H) {
    take_memory(RecurrentMemory());
    take_memory(RecurrentMemory(exec.workspace->get(worker, 3, memory_)));
  }

  void run() {
    begin();
    for (std::int64_t t = steps_.longest() - 1; t >= 0; --t) {
      const std::int64_t alive = steps_.alive(t);
      for (std::int64_t i = 0; i < alive; ++i) through_cell(i, t);
      if (t > 0 || call_.d_h0) through_weights(alive);
    }
    finish();
  }

 private:
  void take_memory(RecurrentMemory memory) {
    d_h_ = memory.take(steps_.rows * H_);
    d_u_ = memory.take(steps_.rows * steps_.GH);
    d_c_ = memory.take(steps_.lstm ? steps_.rows * H_ : 0);
    d_fed_ = call_.mask ? memory.take(steps_.rows * H_) : d_h_;
    zeros_ = memory.take(H_);
    memory_ = memory.used();
  }

  const float* first(const float* states, std::int64_t i) const {
    return states ? states + steps_.of_sequence(i) * H_ : zeros_;
  }
  const float* mask(std::int64_t i) const { return call_.mask + steps_.of_sequence(i) * H_; }

  void begin() {
    std::fill_n(zeros_, H_, 0.0f);
    for (std::int64_t i = 0; i < steps_.rows; ++i) {
      std::copy_n(first(call_.d_last_h, i), H_, d_h_ + i * H_);
      if (steps_.lstm) std::copy_n(first(call_.d_last_c, i), H_, d_c_ + i * H_);
    }
  }

  void through_cell(std::int64_t i, std::int64_t t) {
    const std::int64_t at = steps_.of_step(i, t), GH = steps_.GH,
                       before = t > 0 ? steps_.of_step(i, t - 1) * H_ : 0;
    const bool lstm = steps_.lstm;
    const float* h_previous = t > 0 ? call_.h + before : first(call_.h0, i);
    const float* c_previous = !lstm ? nullptr : t > 0 ? call_.inner + before : first(call_.c0, i);
    float *const d_h = d_h_ + i * H_, *const d_x = call_.d_x_projection + at * GH, *const d_u = d_u_ + i * GH;
    float* const inner = call_.inner + at * H_;
    if (call_.d_h) kernels_.add(H_, call_.d_h + at * H_, d_h);
    kernels_.cell_backward({H_, call_.gates + at * GH, inner, h_previous, c_previous, inner, d_h, d_h,
                            lstm ? d_c_ + i * H_ : nullptr, d_x, d_u});
    if (lstm)
      std::copy_n(d_x, GH, d_u);
    else
      std::copy_n(d_u + 2 * H_, H_, inner);  // the one part of d_u that d_x is not
    float* const saw = fed_ + at / steps_.D * H_;
    if (call_.mask)
      kernels_.multiply(H_, h_previous, mask(i), saw);
    else
      std::copy_n(h_previous, H_, saw);
  }

  /// d_h of the step before: through W_h, on top of what a gru's cell carried over.
  void through_weights(std::int64_t alive) {
    const std::int64_t GH = steps_.GH;
    gemm_serial(exec_, worker_, {.M = alive, .N = H_, .K = GH, .lda = GH, .ldc = H_}, d_u_, W_, d_fed_,
                {.accumulate = !steps_.lstm && !call_.mask});
    for (std::int64_t i = 0; call_.mask && i < alive; ++i) {
      float *const d_fed = d_fed_ + i * H_, *const d_h = d_h_ + i * H_;
      kernels_.multiply(H_, d_fed, mask(i), steps_.lstm ? d_h : d_fed);
      if (!steps_.lstm) kernels_.add(H_, d_fed, d_h);
    }
  }

  void finish() {
    for (std::int64_t i = 0; i < steps_.rows; ++i) {
      const std::int64_t own = steps_.of_sequence(i) * H_;
      if (call_.d_h0) std::copy_n(d_h_ + i * H_, H_, call_.d_h0 + own);
      if (steps_.lstm && call_.d_c0) std::copy_n(d_c_ + i * H_, H_, call_.d_c0 + own);
    }
  }

  const Execution& exec_;
  int worker_;
  const RecurrentBackward& call_;
  RecurrentSteps steps_;
  RecurrentRows kernels_;
  const PackedMatrix& W_;
  float* fed_;
  std::int64_t H_ = steps_.H;
  float *d_h_ = nullptr, *d_u_ = nullptr, *d_c_ = nullptr, *d_fed_ = nullptr, *zeros_ = nullptr;
  std::size_t memory_ = 0;
};

// d_W_h += d_u^T fed over all rows. Of a gru d_u is d_x_projection but for its last H columns, which were
// left in `inner`.
void weight_gradient(const Execution& exec, const RecurrentBackward& call, const float* fed) {
  const RecurrentExtents& x = call.extents;
  const std::int64_t N = x.N, H = x.H, D = x.directions(), GH = x.gates() * H;
  const bool gru = x.cell == Recurrence::gru;
  for (std::int64_t d = 0; d < D; ++d) {
    float* d_W = call.d_W_h + d * GH * H;
    const auto add_product = [&](std::int64_t rows, const float* d_u, std::int64_t stride, float* target) {
      gemm(exec, {.M = rows, .N = H, .K = N, .lda = stride, .ldb = H, .ldc = H, .transpose_a = true}, d_u,
           fed + d * N * H, target, {.accumulate = true});
    };
    add_product(gru ? 2 * H : GH, call.d_x_projection + d * GH, D * GH, d_W);
    if (gru) add_product(H, call.inner + d * H, D * H, d_W + 2 * H * H);
  }
}

// d_b_h += column sums of d_u.
void bias_gradient(const Execution& exec, const RecurrentBackward& call) {
  const RecurrentExtents& x = call.extents;
  const std::int64_t H = x.H, D = x.directions(), GH = x.gates() * H;
  const bool gru = x.cell == Recurrence::gru;
  const auto add = recurrent_rows(exec.kernels, x.cell).add;
  const float* sums =
      sum_over_rows(exec, x.N, D * GH, [&](std::int64_t begin, std::int64_t end, float* partial) {
        for (std::int64_t at = begin * D; at < end * D; ++at) {
          float* const own = partial + at % D * GH;
          add(gru ? 2 * H : GH, call.d_x_projection + at * GH, own);
          if (gru) add(H, call.inner + at * H, own + 2 * H);
        }
      });
  if (sums) add(D * GH, sums, call.d_b_h);
}

}  // namespace

void recurrent_backward(const Execution& exec, const RecurrentBackward& call) {
  const RecurrentExtents& x = call.extents;
  if (x.B == 0 || x.H == 0) return;
  if (exec.kernels == KernelSet::reference) return reference::recurrent_backward(call);
  const std::vector<PackedMatrix> W = pack_weights(exec, x, call.W_h, false);
  float* fed = exec.workspace->get(0, 5, static_cast<std::size_t>(x.directions() * x.N * x.H));
  run_parts(exec, cut_in_parts(x, exec.pool->size()), [&](const RecurrentPart& part, int worker) {
    BackwardPart(exec, worker, call, part, W[static_cast<std::size_t>(part.direction)], fed).run();
  });
  if (call.d_W_h) weight_gradient(exec, call, fed);
  if (call.d_b_h) bias_gradient(exec, call);
}

}  // namespace fovea::kernels
