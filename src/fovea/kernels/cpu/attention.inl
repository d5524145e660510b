// Attention for one instruction set: who computes what. See for_each_isa.h.

// What the files below are made of.
#include "fovea/kernels/cpu/attention_product.inl"

#include "fovea/kernels/cpu/attention_backward.inl"
#include "fovea/kernels/cpu/attention_forward.inl"
#include "fovea/kernels/cpu/attention_row.inl"

// How many queries left over are cheaper one at a time than as another, mostly idle, lane vector. Costs in
// vector operations a key, and what a query or a block costs besides; found by timing.
inline QueryBlocks cut_queries(const AttentionExtents& x, std::int64_t b) {
  const std::int64_t queries = x.q_count[b], keys = x.k_count[b];
  const std::int64_t lanes = keys * (x.key_width + 12) + (queries < width ? 500 : 150);
  const std::int64_t single = keys * (x.key_width / width + 3) + 350;
  return QueryBlocks(queries, width, block_vectors, std::min<std::int64_t>(lanes / single, width - 1));
}

inline std::int64_t most_keys(const AttentionExtents& x) {
  return x.sequences > 0 ? *std::max_element(x.k_count, x.k_count + x.sequences) : 0;
}

// Rows that several blocks or heads read are copied side by side (see gather_rows).
inline bool read_once(const AttentionExtents& x, const QueryBlocks& cut) {
  return cut.blocks <= 1 && x.heads == x.kv_heads;
}

inline double forward_cost(const AttentionExtents& x, const AttentionHead& head, const QueryBlocks& cut) {
  double cost = 0.0;
  for (std::int64_t i = 0; i < cut.units(); ++i) cost += attention_cost(x, head, cut.begin(i), cut.end(i));
  return cost;
}

// A worker's blocks of queries, with the dense keys and values of the key head it is at.
class ForwardWorker {
 public:
  ForwardWorker(const AttentionForward& call, int worker)
      : call_(call),
        x_(call.x),
        most_keys_(most_keys(x_)),
        scratch_(
            call.exec.workspace->get(worker, 3,
                                     static_cast<std::size_t>(std::max(ForwardBlock::scratch(x_, most_keys_),
                                                                       row_scratch(x_, most_keys_))))),
        rows_(call.exec.workspace->get(
            worker, 4,
            static_cast<std::size_t>(most_keys_ * (round_up(x_.key_width) + round_up(x_.value_width)) +
                                     2 * width))) {}

  void run(std::int64_t b, const AttentionHead& head, const QueryBlocks& cut, std::int64_t unit,
           float* weights) {
    const std::int64_t t0 = cut.begin(unit), t1 = cut.end(unit);
    if (weights) weights += t0 * head.keys;
    if (unit < cut.blocks) {
      make_dense(b, head, read_once(x_, cut));
      return ForwardBlock(call_, head, t0, t1, k_, v_, scratch_).run(weights);
    }
    for (std::int64_t t = t0; t < t1; ++t) {
      forward_row(call_, head, t, weights, scratch_);
      if (weights) weights += head.keys;
    }
  }

 private:
  void make_dense(std::int64_t b, const AttentionHead& head, bool once) {
    if (b == sequence_ && head.kv_head == kv_head_) return;
    sequence_ = b;
    kv_head_ = head.kv_head;
    k_ = gather_rows(head, call_.k + head.k, x_.k.row, x_.key_width, once, rows_);
    v_ = gather_rows(head, call_.v + head.v, x_.v.row, x_.value_width, once && x_.value_width % width == 0,
                     rows_ + most_keys_ * round_up(x_.key_width));
  }

  const AttentionForward& call_;
  const AttentionExtents& x_;
  std::int64_t most_keys_;
  float *scratch_, *rows_;
  std::int64_t sequence_ = -1, kv_head_ = -1;
  Panel k_{}, v_{};
};

inline void forward_share(const AttentionForward& call, const Share& share, int worker) {
  const AttentionExtents& x = call.x;
  ForwardWorker work(call, worker);
  double at = 0.0;
  float* weights = call.weights;
  for (std::int64_t b = 0; b < x.sequences; ++b) {
    const QueryBlocks cut = cut_queries(x, b);
    const AttentionHead first(x, b, 0);
    const double cost = forward_cost(x, first, cut);
    for (std::int64_t h = 0; h < x.heads; ++h, at += cost) {
      float* const head_weights = weights;
      if (weights) weights += first.queries * first.keys;
      if (!share.overlaps(at, cost)) continue;
      const AttentionHead head(x, b, h);
      const bool whole = share.contains(at, cost);
      double unit_at = at;
      for (std::int64_t i = 0; i < cut.units(); ++i) {
        const double unit_cost = whole ? 0.0 : attention_cost(x, head, cut.begin(i), cut.end(i));
        if (whole || share.owns(unit_at, unit_cost)) work.run(b, head, cut, i, head_weights);
        unit_at += unit_cost;
      }
    }
  }
}

template <class Body>
void run_workers(const Execution& exec, int workers, const Body& body) {
  if (workers <= 1) return body(0);
  exec.pool->run([&](int worker) {
    if (worker < workers) body(worker);
  });
}

void attention_forward(const AttentionForward& call) {
  const AttentionExtents& x = call.x;
  double total = 0.0;
  for (std::int64_t b = 0; b < x.sequences; ++b)
    total += static_cast<double>(x.heads) * forward_cost(x, AttentionHead(x, b, 0), cut_queries(x, b));
  const int workers = workers_for(call.exec, total);
  run_workers(call.exec, workers,
              [&](int worker) { forward_share(call, Share(total, worker, workers), worker); });
}

inline double backward_cost(const AttentionExtents& x, std::int64_t b) {
  const AttentionHead head(x, b, 0);
  return static_cast<double>(x.heads / x.kv_heads) * 2.5 * attention_cost(x, head, 0, head.queries) +
         static_cast<double>(head.keys * (x.key_width + x.value_width)) + 1000.0;
}

inline void backward_share(const AttentionBackward& call, const Share& share, int worker) {
  const AttentionExtents& x = call.x;
  const std::int64_t keys = most_keys(x), group = x.heads / x.kv_heads;
  const std::int64_t key_columns = round_up(x.key_width), value_columns = round_up(x.value_width);
  Workspace& workspace = *call.exec.workspace;
  float* const scratch = workspace.get(worker, 3, static_cast<std::size_t>(BackwardHead::scratch(x, keys)));
  float* const rows =
      workspace.get(worker, 4, static_cast<std::size_t>(keys * (key_columns + value_columns) + 2 * width));
  double at = 0.0;
  for (std::int64_t b = 0; b < x.sequences; ++b) {
    const double cost = backward_cost(x, b);
    for (std::int64_t kv_head = 0; kv_head < x.kv_heads; ++kv_head, at += cost) {
      if (!share.owns(at, cost)) continue;
      const AttentionHead head(x, b, kv_head * group);
      const bool once = read_once(x, QueryBlocks(head.queries, width, block_vectors, 0));
      const Panel k =
          gather_rows(head, call.k + head.k, x.k.row, x.key_width, once && x.key_width % width == 0, rows);
      const Panel v =
          gather_rows(head, call.v + head.v, x.v.row, x.value_width, once, rows + keys * key_columns);
      BackwardHead(call, head, k, v, scratch).run(b, kv_head * group, (kv_head + 1) * group);
    }
  }
}

void attention_backward(const AttentionBackward& call) {
  const AttentionExtents& x = call.x;
  double total = 0.0;
  for (std::int64_t b = 0; b < x.sequences; ++b)
    total += static_cast<double>(x.kv_heads) * backward_cost(x, b);
  const int workers = workers_for(call.exec, total);
  run_workers(call.exec, workers,
              [&](int worker) { backward_share(call, Share(total, worker, workers), worker); });
}
