// Attention over a cache for one instruction set: who computes what. See for_each_isa.h.

#include "fovea/kernels/cpu/decode_attention_span.inl"
#include "fovea/kernels/cpu/decode_attention_tiles.inl"

inline const DecodeTiles& tiles_for(DType dtype) {
  if (dtype == DType::f32) return f32_tiles;
  if (width == 16 && has_16_bit_dot())
    return dtype == DType::bf16 ? avx512_dot16::bf16_tiles : avx512_dot16::i8_tiles;
  return dtype == DType::bf16 ? widened_bf16_tiles : widened_i8_tiles;
}

// The spans of a call, numbered sequence by sequence and head by head, and room for the states of those that
// have to be merged.
class Schedule {
 public:
  explicit Schedule(const DecodeCall& call) : call_(call) {
    const std::int64_t B = call.x.sequences, tables = (2 * 2 * (B + 1) + 15) / 16 * 16;  // floats
    std::int64_t floats = 0;
    for (std::int64_t b = 0; b < B; ++b) floats += state_floats(b);
    float* const memory = call.exec.workspace->get(0, 6, static_cast<std::size_t>(tables + floats));
    first_span_ = reinterpret_cast<std::int64_t*>(memory);
    first_state_ = first_span_ + B + 1;
    states_ = memory + tables;
    first_span_[0] = first_state_[0] = 0;
    for (std::int64_t b = 0; b < B; ++b) {
      first_span_[b + 1] = first_span_[b] + kv_heads() * plan(b).spans;
      first_state_[b + 1] = first_state_[b] + state_floats(b);
    }
  }

  struct Span {
    std::int64_t b, kv_head, number;
  };
  std::int64_t spans() const { return first_span_[call_.x.sequences]; }
  Span span(std::int64_t i) const {
    const std::int64_t b =
        std::upper_bound(first_span_, first_span_ + call_.x.sequences + 1, i) - first_span_ - 1;
    const std::int64_t at = i - first_span_[b], spans = plan(b).spans;
    return {b, at / spans, at % spans};
  }
  bool merges() const { return first_state_[call_.x.sequences] > 0; }
  SpanPlan plan(std::int64_t b) const { return SpanPlan(call_.x, call_.cache, b); }
  std::int64_t rows(std::int64_t b) const { return call_.x.q_count[b] * (call_.x.heads / kv_heads()); }
  RowStates states(std::int64_t b, float* memory) const {
    return {memory, rows(b), call_.cache.layout.value_columns()};
  }
  RowStates states(const Span& s) const {
    const std::int64_t before = s.kv_head * plan(s.b).spans + s.number;
    return states(s.b,
                  states_ + first_state_[s.b] + before * RowStates::floats(call_.cache.layout, rows(s.b)));
  }

 private:
  std::int64_t kv_heads() const { return call_.cache.layout.kv_heads; }
  std::int64_t state_floats(std::int64_t b) const {
    const std::int64_t spans = plan(b).spans;
    return spans > 1 ? kv_heads() * spans * RowStates::floats(call_.cache.layout, rows(b)) : 0;
  }

  const DecodeCall& call_;
  std::int64_t *first_span_, *first_state_;
  float* states_;
};

inline void run_span(const DecodeCall& call, const Schedule& schedule, const Schedule::Span& span,
                     SpanWorker& worker) {
  const SpanPlan plan = schedule.plan(span.b);
  const bool whole = plan.spans == 1;
  const RowStates states = whole ? schedule.states(span.b, worker.own_states()) : schedule.states(span);
  const std::int64_t first = plan.first_block + span.number * plan.blocks_a_span;
  worker.run(span.b, span.kv_head, first, std::min(first + plan.blocks_a_span, plan.end_block), states);
  if (whole) finish_rows(call, span.b, span.kv_head, states);
}

inline void merge_head(const DecodeCall& call, const Schedule& schedule, std::int64_t b,
                       std::int64_t kv_head) {
  const std::int64_t spans = schedule.plan(b).spans;
  if (spans <= 1) return;
  const RowStates first = schedule.states({b, kv_head, 0});
  for (std::int64_t number = 1; number < spans; ++number)
    merge_states(first, schedule.states({b, kv_head, number}));
  finish_rows(call, b, kv_head, first);
}

// Whoever is free takes the next few of `count` items, neighbours, for one run through memory: who computes
// one does not show in its bits.
template <class MakeWorker>
void share_items(const Execution& exec, std::int64_t count, bool alone, const MakeWorker& make_worker) {
  const std::int64_t few = std::max<std::int64_t>(1, count / (16 * exec.pool->size()));
  std::atomic<std::int64_t> next{0};
  const auto work = [&](int worker) {
    auto body = make_worker(worker);
    for (std::int64_t from = next.fetch_add(few); from < count; from = next.fetch_add(few))
      for (std::int64_t i = from; i < std::min(from + few, count); ++i) body(i);
  };
  if (alone) return work(0);
  exec.pool->run(work);
}

void decode_attention(const DecodeCall& call) {
  const DecodeExtents& x = call.x;
  const std::int64_t heads = call.cache.layout.kv_heads;
  std::int64_t keys = 0, most_queries = 0;
  for (std::int64_t b = 0; b < x.sequences; ++b) {
    keys += call.cache.length[b];
    most_queries = std::max(most_queries, x.q_count[b]);
  }
  const Schedule schedule(call);
  const DecodeTiles& tiles = tiles_for(call.cache.layout.dtype);
  const bool alone = keys * heads < 2048;  // a few microseconds: not worth waking anyone
  share_items(call.exec, schedule.spans(), alone, [&](int worker) {
    return [&, work = SpanWorker(call, tiles, most_queries * (x.heads / heads), worker)](
               std::int64_t i) mutable { run_span(call, schedule, schedule.span(i), work); };
  });
  if (!schedule.merges()) return;
  share_items(call.exec, x.sequences * heads, alone,
              [&](int) { return [&](std::int64_t i) { merge_head(call, schedule, i / heads, i % heads); }; });
}
