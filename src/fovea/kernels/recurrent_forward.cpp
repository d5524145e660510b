#include "fovea/kernels/cpu/recurrent_parts.h"

namespace fovea::kernels {
namespace {

// The steps of one part. Matrices of its own have a row a sequence.
class ForwardPart {
 public:
  ForwardPart(const Execution& exec, int worker, const RecurrentForward& call, const RecurrentPart& part,
              const PackedMatrix& W)
      : exec_(exec),
        worker_(worker),
        call_(call),
        steps_(call.extents, part),
        kernels_(recurrent_rows(exec.kernels, call.extents.cell)),
        W_(W) {
    take_memory(RecurrentMemory());
    take_memory(RecurrentMemory(exec.workspace->get(worker, 3, memory_)));
  }

  void run() {
    begin();
    for (std::int64_t t = 0; t < steps_.longest(); ++t) step(t);
    finish();
  }

 private:
  void take_memory(RecurrentMemory memory) {
    fed_ = memory.take(steps_.rows * H_);
    u_ = memory.take(steps_.rows * steps_.GH);
    c_ = memory.take(steps_.lstm ? steps_.rows * H_ : 0);
    zeros_ = memory.take(H_);
    memory_ = memory.used();
  }

  const float* first(const float* states, std::int64_t i) const {
    return states ? states + steps_.of_sequence(i) * H_ : zeros_;
  }
  /// The state before step t; after the last one it is that of t = length.
  const float* state_before(std::int64_t i, std::int64_t t) const {
    return t > 0 ? call_.h + steps_.of_step(i, t - 1) * H_ : first(call_.h0, i);
  }
  /// What W_h sees of a state.
  void feed(std::int64_t i, const float* h) {
    if (call_.mask)
      kernels_.multiply(H_, h, call_.mask + steps_.of_sequence(i) * H_, fed_ + i * H_);
    else
      std::copy_n(h, H_, fed_ + i * H_);
  }

  void begin() {
    std::fill_n(zeros_, H_, 0.0f);
    for (std::int64_t i = 0; i < steps_.rows; ++i) {
      feed(i, first(call_.h0, i));
      if (steps_.lstm) std::copy_n(first(call_.c0, i), H_, c_ + i * H_);
    }
  }

  void project(std::int64_t t, std::int64_t alive) {
    const std::int64_t GH = steps_.GH;
    const float* bias = call_.b_h ? call_.b_h + steps_.direction * GH : nullptr;
    if (t > 0 || call_.h0)
      return gemm_serial(exec_, worker_, {.M = alive, .N = GH, .K = H_, .lda = H_, .ldc = GH}, fed_, W_, u_,
                         {.bias = bias});
    for (std::int64_t i = 0; i < alive; ++i)  // of zeros: the bias alone
      if (bias)
        std::copy_n(bias, GH, u_ + i * GH);
      else
        std::fill_n(u_ + i * GH, GH, 0.0f);
  }

  void step(std::int64_t t) {
    const std::int64_t alive = steps_.alive(t), GH = steps_.GH;
    project(t, alive);
    for (std::int64_t i = 0; i < alive; ++i) {
      const std::int64_t at = steps_.of_step(i, t);
      float *const h = call_.h + at * H_, *const c = steps_.lstm ? c_ + i * H_ : nullptr;
      float* const inner = call_.inner ? call_.inner + at * H_ : nullptr;
      kernels_.cell({H_, call_.x_projection + at * GH, u_ + i * GH, state_before(i, t), c, h, c,
                     call_.gates ? call_.gates + at * GH : nullptr, inner});
      if (c && inner) std::copy_n(c, H_, inner);
      feed(i, h);
    }
  }

  void finish() {
    for (std::int64_t i = 0; i < steps_.rows; ++i) {
      const std::int64_t own = steps_.of_sequence(i) * H_;
      if (call_.last_h) std::copy_n(state_before(i, steps_.length(i)), H_, call_.last_h + own);
      if (steps_.lstm && call_.last_c) std::copy_n(c_ + i * H_, H_, call_.last_c + own);
    }
  }

  const Execution& exec_;
  int worker_;
  const RecurrentForward& call_;
  RecurrentSteps steps_;
  RecurrentRows kernels_;
  const PackedMatrix& W_;
  std::int64_t H_ = steps_.H;
  float *fed_ = nullptr, *u_ = nullptr, *c_ = nullptr, *zeros_ = nullptr;
  std::size_t memory_ = 0;
};

}  // namespace

void recurrent_forward(const Execution& exec, const RecurrentForward& call) {
  if (call.extents.B == 0 || call.extents.H == 0) return;
  if (exec.kernels == KernelSet::reference) return reference::recurrent_forward(call);
  const std::vector<PackedMatrix> W = pack_weights(exec, call.extents, call.W_h, true);
  run_parts(exec, cut_in_parts(call.extents, exec.pool->size()), [&](const RecurrentPart& part, int worker) {
    ForwardPart(exec, worker, call, part, W[static_cast<std::size_t>(part.direction)]).run();
  });
}

}  // namespace fovea::kernels
