// Additive attention for one instruction set: who computes what. See for_each_isa.h.

namespace additive {

#include "fovea/kernels/cpu/additive_attention_score.inl"

#include "fovea/kernels/cpu/additive_attention_gradient.inl"
#include "fovea/kernels/cpu/additive_attention_mix.inl"

#include "fovea/kernels/cpu/additive_attention_backward.inl"
#include "fovea/kernels/cpu/additive_attention_forward.inl"
#include "fovea/kernels/cpu/additive_attention_queries.inl"

template <class Body>
void run_parts(const Execution& exec, int parts, const Body& body) {
  if (parts <= 1) return body(0);
  exec.pool->run([&](int part) {
    if (part < parts) body(part);
  });
}

// A worker's share of all (sequence, head, block of queries).
inline void forward_share(const AdditiveForward& call, const Share& share, int worker) {
  ForwardWorker work(call, worker);
  double at = 0.0;
  float* pairs = call.pairs;
  for (std::int64_t b = 0; b < call.x.sequences; ++b) {
    const AdditiveHead first(call.x, call.in, b, 0);
    const double cost = additive_cost(first, 0, first.queries);
    const std::int64_t most = queries_at_once(call.x, call.in, first.keys);
    for (std::int64_t h = 0; h < call.x.heads; ++h, at += cost) {
      float* const own = pairs;
      if (pairs) pairs += first.queries * first.keys;
      if (!share.overlaps(at, cost)) continue;
      const AdditiveHead head(call.x, call.in, b, h);
      double block_at = at;
      for (std::int64_t t0 = 0; t0 < head.queries; t0 += most) {
        const std::int64_t t1 = std::min(t0 + most, head.queries);
        const double block_cost = cost * static_cast<double>(t1 - t0) / static_cast<double>(head.queries);
        if (share.owns(block_at, block_cost)) work.run(head, t0, t1, own);
        block_at += block_cost;
      }
    }
  }
}

inline double total_cost(const AdditiveExtents& x, const AdditiveInputs& in) {
  double total = 0.0;
  for (std::int64_t b = 0; b < x.sequences; ++b) {
    const AdditiveHead head(x, in, b, 0);
    total += static_cast<double>(x.heads) * additive_cost(head, 0, head.queries);
  }
  return total;
}

void forward(const AdditiveForward& call) {
  const double total = total_cost(call.x, call.in);
  const int workers = workers_for(call.exec, total);
  run_parts(call.exec, workers,
            [&](int worker) { forward_share(call, Share(total, worker, workers), worker); });
}

void backward_to_queries(const AdditiveQueryBackward& call) {
  const double total = total_cost(call.x, call.in);
  const int workers = workers_for(call.exec, total);
  run_parts(call.exec, workers,
            [&](int worker) { QueryGradients(call, worker).run(Share(total, worker, workers)); });
}

// Everything of a head on one worker.
inline void backward_alone(BackwardHead& head, float* scratch) {
  head.factor_keys(0, 1);
  for (std::int64_t tile = 0; tile < head.tiles(); ++tile) {
    head.begin_tile(tile);
    head.rows(0, 1, scratch);
    head.columns(0, 1, scratch);
    head.end_tile();
  }
  head.end();
}

// The same by all workers, step by step.
inline void backward_together(const Execution& exec, BackwardHead& head, int workers, std::int64_t scratch) {
  const auto step = [&](const auto& body) {
    run_parts(exec, workers,
              [&](int part) { body(part, exec.workspace->get(part, 4, static_cast<std::size_t>(scratch))); });
  };
  step([&](int part, float*) { head.factor_keys(part, workers); });
  for (std::int64_t tile = 0; tile < head.tiles(); ++tile) {
    head.begin_tile(tile);
    step([&](int part, float* own) { head.rows(part, workers, own); });
    step([&](int part, float* own) { head.columns(part, workers, own); });
    head.end_tile();
  }
  head.end();
}

// One call of backward: heads one after another, each by its own worker, or by all if there are few.
class BackwardCall {
 public:
  explicit BackwardCall(const AdditiveBackward& call)
      : call_(call),
        x_(call.x),
        sizes_(x_),
        padded_(padded_width(x_.width)),
        total_(2.5 * total_cost(x_, call.in)),
        workers_(workers_for(call.exec, total_)),
        d_v_(call.exec.workspace->get(0, 5, static_cast<std::size_t>(x_.sequences * x_.heads * padded_))) {}

  void run() {
    const auto heads = static_cast<double>(x_.sequences * x_.heads);
    // Few heads on many workers would leave some idle; handing parts around pays from some 20 us a head.
    const bool together = workers_ > 1 && heads < 4.0 * workers_ && total_ > 1e6 * heads;
    if (together) {
      share(Share(total_, 0, 1), 0, workers_);
    } else {
      run_parts(call_.exec, workers_, [&](int worker) { share(Share(total_, worker, workers_), worker, 1); });
    }
    add_up();
  }

 private:
  void share(const Share& share, int worker, int team) const {
    Workspace& workspace = *call_.exec.workspace;
    const std::int64_t own_size = BackwardHead::worker_scratch(x_);
    float* const shared =
        workspace.get(worker, 3, static_cast<std::size_t>(BackwardHead::shared_scratch(x_, sizes_)));
    float* const own = workspace.get(worker, 4, static_cast<std::size_t>(own_size));
    double at = 0.0;
    const float* given = call_.d_scores;
    for (std::int64_t b = 0; b < x_.sequences; ++b)
      for (std::int64_t h = 0; h < x_.heads; ++h) {
        const AdditiveHead head(x_, call_.in, b, h);
        const double cost = 2.5 * additive_cost(head, 0, head.queries);
        if (share.owns(at, cost)) {
          BackwardHead work(call_, head, sizes_, given, shared, d_v_ + (b * x_.heads + h) * padded_);
          team > 1 ? backward_together(call_.exec, work, team, own_size) : backward_alone(work, own);
        }
        at += cost;
        if (given) given += head.queries * head.keys;
      }
  }

  // In the order of sequences.
  void add_up() const {
    for (std::int64_t h = 0; h < x_.heads; ++h) {
      float* const to = call_.to.v + h * x_.width;
      std::fill_n(to, x_.width, 0.0f);
      for (std::int64_t b = 0; b < x_.sequences; ++b) {
        const float* const from = d_v_ + (b * x_.heads + h) * padded_;
        over_vectors(x_.width, [&](std::int64_t d, auto lanes) {
          lanes.write(to + d, add(lanes.read(to + d), lanes.read(from + d)));
        });
      }
    }
  }

  const AdditiveBackward& call_;
  const AdditiveExtents& x_;
  GradientSizes sizes_;
  std::int64_t padded_;
  double total_;
  int workers_;
  float* d_v_;
};

void backward(const AdditiveBackward& call) { BackwardCall(call).run(); }

}  // namespace additive
