#include "fovea/ops/stepwise.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "fovea/ops/pair_operands.h"

namespace fovea::ops {
namespace {

// What steps sent: pairs, and a row for each of their queries. The last step sends first.
struct Sent {
  PairsPtr pairs;
  Tensor of_pairs, rows;
  std::int64_t first;  // column of rows
};

// All of it, sequence after sequence, each in the order of steps.
struct Gathered {
  PairsPtr pairs;
  Tensor of_pairs, rows;
};

class Gathering {
 public:
  Gathering(std::shared_ptr<const Sequences> keys, std::int64_t heads, std::int64_t columns)
      : keys_(std::move(keys)), heads_(heads), columns_(columns) {}

  void add(Sent sent) { sent_.push_back(std::move(sent)); }
  bool empty() const { return sent_.empty(); }

  void expect(const Pairs& pairs, const char* where) const {
    const Sequences& keys = pairs.keys();
    const bool known = keys.size() <= keys_->size() && pairs.heads() == heads_ &&
                       std::equal(keys.start.begin(), keys.start.end(), keys_->start.begin()) &&
                       std::equal(keys.count.begin(), keys.count.end(), keys_->count.begin()) &&
                       keys.rows == keys_->rows;
    if (!known)
      throw Error(Error::Kind::bug, where,
                  "a step of " + pairs.text() + " does not look at the first of B = " +
                      std::to_string(keys_->size()) + " sequences with H = " + std::to_string(heads_));
  }

  // Empties this.
  Gathered take(const kernels::Execution& exec) {
    std::reverse(sent_.begin(), sent_.end());
    const PairsPtr pairs = Pairs::of(all_queries(), keys_, heads_);
    const Gathered all{pairs, Tensor::empty({pairs->elements()}),
                       Tensor::empty({pairs->query_rows(), columns_})};
    exec.pool->parallel_for(keys_->size(), 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t b = begin; b < end; ++b) copy_sequence(all, b);
    });
    sent_.clear();
    return all;
  }

 private:
  std::shared_ptr<const Sequences> all_queries() const {
    auto queries = std::make_shared<Sequences>();
    std::int64_t rows = 0;
    for (std::int64_t b = 0; b < keys_->size(); ++b) {
      queries->start.push_back(rows);
      for (const Sent& step : sent_)
        if (b < step.pairs->sequences()) rows += step.pairs->T(b);
      queries->count.push_back(rows - queries->start.back());
    }
    return queries;
  }

  void copy_sequence(const Gathered& all, std::int64_t b) const {
    const kernels::PairExtents to = all.pairs->extents();
    const std::int64_t S = keys_->count[static_cast<std::size_t>(b)];
    std::int64_t at = 0;
    for (const Sent& step : sent_) {
      if (b >= step.pairs->sequences()) break;
      const kernels::PairExtents from = step.pairs->extents();
      const std::int64_t stride = step.rows.dim(1);
      for (std::int64_t t = 0; t < from.q_count[b]; ++t, ++at) {
        std::copy_n(step.rows.f32() + (from.q_start[b] + t) * stride + step.first, columns_,
                    all.rows.f32() + (to.q_start[b] + at) * columns_);
        for (std::int64_t h = 0; h < heads_; ++h)
          std::copy_n(step.of_pairs.f32() + from.row(b, h, t), S, all.of_pairs.f32() + to.row(b, h, at));
      }
    }
  }

  std::shared_ptr<const Sequences> keys_;
  std::int64_t heads_, columns_;
  std::vector<Sent> sent_;
};

// Records `finish(gathered)` as what runs when all steps that follow have sent theirs.
template <class Finish>
std::shared_ptr<Gathering> gather(const Context& ctx, const std::shared_ptr<const Sequences>& keys,
                                  std::int64_t heads, std::int64_t columns, bool wanted, Finish finish) {
  auto gathering = std::make_shared<Gathering>(keys, heads, columns);
  if (wanted)
    ctx.tape->record([exec = ctx.exec, gathering, finish = std::move(finish)] {
      if (!gathering->empty()) finish(exec, gathering->take(exec));
    });
  return gathering;
}

std::int64_t asked_rows(const Pairs& pairs) {
  std::int64_t rows = 0;
  for (std::int64_t b = 0; b < pairs.sequences(); ++b) rows += pairs.T(b);
  return rows;
}

void expect_no_rows(const Sequences& keys, bool wanted, const char* where) {
  if (wanted && !keys.rows.empty())
    throw Error(Error::Kind::bug, where, "gradients of keys do not serve keys by row");
}

Tensor scaled(const Tensor& x, float scale) {
  if (scale == 1.0f) return x;
  Tensor y = Tensor::empty(x.shape());
  std::transform(x.values().begin(), x.values().end(), y.f32(), [scale](float each) { return scale * each; });
  return y;
}

class StepwiseDot : public StepwiseScores {
 public:
  StepwiseDot(const Context& ctx, const PackedHeads& k, const std::shared_ptr<const Sequences>& keys,
              std::int64_t heads, const DotOptions& options)
      : k_(k), heads_(heads), options_(options), learns_(ctx.records({&k.matrix})) {
    expect_pair_groups(heads, options.kv_heads, "stepwise_dot");
    expect_pair_heads(k, options.kv_heads, options.width, "stepwise_dot: k");
    expect_no_rows(*keys, learns_, "stepwise_dot");
    gathering_ = gather(ctx, keys, heads, heads * options.width, learns_,
                        [k, options](const kernels::Execution& exec, const Gathered& all) {
                          const auto x = pair_product(*all.pairs, options.kv_heads, options.width,
                                                      all.rows.dim(1), k.matrix.dim(1));
                          kernels::pair_mix_transposed(exec, x, scaled(all.of_pairs, options.scale).f32(),
                                                       all.rows.f32(), gradient_columns(k));
                        });
  }

  Tensor scores(const Context& ctx, const PackedHeads& q, const PairsPtr& pairs) const override {
    expect_pair_heads(q, heads_, options_.width, "stepwise_dot: q");
    pairs->expect_query_rows(q.matrix, "stepwise_dot: q");
    gathering_->expect(*pairs, "stepwise_dot");
    const auto x = pair_product(*pairs, options_.kv_heads, options_.width, q.matrix.dim(1), k_.matrix.dim(1));
    Tensor scores = Tensor::empty({pairs->elements()});
    const float* k = k_.matrix.f32() + k_.first;
    kernels::pair_dot(ctx.exec, x, options_.scale, q.matrix.f32() + q.first, k, scores.f32());
    if (!ctx.records({&q.matrix, &k_.matrix})) return scores;

    require_grad(scores);
    ctx.tape->record([exec = ctx.exec, x, q, held = k_, k, pairs, scores, scale = options_.scale,
                      gathering = learns_ ? gathering_ : nullptr] {
      const Tensor d_scores = arrived_gradient(scores);
      if (!d_scores.defined()) return;
      if (q.matrix.requires_grad())
        kernels::pair_mix(exec, x, scaled(d_scores, scale).f32(), k, true, gradient_columns(q));
      if (gathering) gathering->add({pairs, d_scores, q.matrix, q.first});
    });
    return scores;
  }

 private:
  PackedHeads k_;
  std::int64_t heads_;
  DotOptions options_;
  bool learns_;
  std::shared_ptr<Gathering> gathering_;
};

class StepwiseAdditive : public StepwiseScores {
 public:
  StepwiseAdditive(const Context& ctx, const PackedHeads& k, const Tensor& v,
                   const std::shared_ptr<const Sequences>& keys, const AdditiveOptions& options)
      : operands_{k, v, prepare_additive_keys(ctx, k, options.heads, options.width), options.heads,
                  options.width},
        learns_(ctx.records({&k.matrix, &v})) {
    expect_shape(v, {options.heads, options.width}, "stepwise_additive: v [H, D]");
    expect_no_rows(*keys, learns_, "stepwise_additive");
    gathering_ = gather(ctx, keys, options.heads, options.heads * options.width, learns_,
                        [in = operands_](const kernels::Execution& exec, const Gathered& all) {
                          give_gradients(exec, in, all);
                        });
  }

  Tensor scores(const Context& ctx, const PackedHeads& q, const PairsPtr& pairs) const override {
    expect_pair_heads(q, operands_.heads, operands_.width, "stepwise_additive: q");
    pairs->expect_query_rows(q.matrix, "stepwise_additive: q");
    gathering_->expect(*pairs, "stepwise_additive");
    const kernels::AdditiveExtents x = operands_.extents(*pairs, q.matrix.dim(1));
    Tensor scores = Tensor::empty({pairs->elements()});
    kernels::additive_scores_forward(ctx.exec, x, operands_.inputs(q), scores.f32());
    if (!ctx.records({&q.matrix, &operands_.k.matrix, &operands_.v})) return scores;

    require_grad(scores);
    ctx.tape->record(
        [exec = ctx.exec, x, in = operands_, q, pairs, scores, gathering = learns_ ? gathering_ : nullptr] {
          const Tensor d_scores = arrived_gradient(scores);
          if (!d_scores.defined()) return;
          if (q.matrix.requires_grad()) give_to_queries(exec, x, in, q, *pairs, d_scores);
          if (gathering) gathering->add({pairs, d_scores, q.matrix, q.first});
        });
    return scores;
  }

 private:
  struct Operands {
    PackedHeads k;
    Tensor v, prepared;
    std::int64_t heads, width;

    kernels::AdditiveExtents extents(const Pairs& pairs, std::int64_t query_columns) const {
      const kernels::PairExtents p = pairs.extents();
      kernels::AdditiveExtents x;
      x.sequences = p.sequences;
      x.heads = heads;
      x.width = width;
      x.q = {query_columns, width};
      x.k = {k.matrix.dim(1), width};
      x.q_start = p.q_start;
      x.q_count = p.q_count;
      x.k_start = p.k_start;
      x.k_count = p.k_count;
      x.key_rows = pairs.keys().rows.empty() ? nullptr : pairs.keys().rows.data();
      return x;
    }
    kernels::AdditiveInputs inputs(const PackedHeads& q) const {
      return {q.matrix.f32() + q.first, k.matrix.f32() + k.first, v.f32(), nullptr, prepared.f32()};
    }
  };

  // Rows and columns that are no query's have no gradient from here.
  static void give_to_queries(const kernels::Execution& exec, const kernels::AdditiveExtents& x,
                              const Operands& in, const PackedHeads& q, const Pairs& pairs,
                              const Tensor& d_scores) {
    const bool whole = asked_rows(pairs) == q.matrix.dim(0) && in.heads * in.width == q.matrix.dim(1);
    Tensor d_q = whole ? Tensor::empty(q.matrix.shape()) : Tensor::zeros(q.matrix.shape());
    kernels::additive_scores_backward_to_queries(exec, x, in.inputs(q), d_scores.f32(), d_q.f32() + q.first);
    give_gradient(q.matrix, d_q);
  }

  static void give_gradients(const kernels::Execution& exec, const Operands& in, const Gathered& all) {
    Tensor d_k = Tensor::zeros(in.k.matrix.shape()), d_v = Tensor::empty(in.v.shape());
    Tensor d_q = Tensor::empty(all.rows.shape());  // steps had it
    kernels::additive_scores_backward(exec, in.extents(*all.pairs, all.rows.dim(1)), in.inputs({all.rows}),
                                      all.of_pairs.f32(), {d_q.f32(), d_k.f32() + in.k.first, d_v.f32()});
    give_gradient(in.k.matrix, d_k);
    give_gradient(in.v, d_v);
  }

  Operands operands_;
  bool learns_;
  std::shared_ptr<Gathering> gathering_;
};

class GatheredValues : public StepwiseValues {
 public:
  GatheredValues(const Context& ctx, const PackedHeads& value, const std::shared_ptr<const Sequences>& keys,
                 std::int64_t heads, const MixOptions& options)
      : value_(value), heads_(heads), options_(options), learns_(ctx.records({&value.matrix})) {
    expect_pair_groups(heads, options.kv_heads, "stepwise_values");
    expect_pair_heads(value, options.kv_heads, options.value_width, "stepwise_values");
    expect_no_rows(*keys, learns_, "stepwise_values");
    gathering_ = gather(ctx, keys, heads, heads * options.value_width, learns_,
                        [value, options](const kernels::Execution& exec, const Gathered& all) {
                          const auto x = pair_product(*all.pairs, options.kv_heads, options.value_width,
                                                      all.rows.dim(1), value.matrix.dim(1));
                          kernels::pair_mix_transposed(exec, x, all.of_pairs.f32(), all.rows.f32(),
                                                       gradient_columns(value));
                        });
  }

  Tensor mix(const Context& ctx, const Tensor& weights, const PairsPtr& pairs) const override {
    pairs->expect(weights, "stepwise_values: weights");
    gathering_->expect(*pairs, "stepwise_values");
    const std::int64_t width = heads_ * options_.value_width;
    const auto x = pair_product(*pairs, options_.kv_heads, options_.value_width, width, value_.matrix.dim(1));
    const float* value = value_.matrix.f32() + value_.first;
    const Shape shape{pairs->query_rows(), width};
    Tensor context = asked_rows(*pairs) == shape[0] ? Tensor::empty(shape) : Tensor::zeros(shape);
    kernels::pair_mix(ctx.exec, x, weights.f32(), value, false, context.f32());
    if (!ctx.records({&weights, &value_.matrix})) return context;

    require_grad(context);
    ctx.tape->record([exec = ctx.exec, x, weights, held = value_, value, pairs, context,
                      gathering = learns_ ? gathering_ : nullptr] {
      const Tensor d_context = arrived_gradient(context);
      if (!d_context.defined()) return;
      if (gathering) gathering->add({pairs, weights, d_context, 0});
      if (!weights.requires_grad()) return;
      Tensor d_weights = Tensor::empty(weights.shape());
      kernels::pair_dot(exec, x, 1.0f, d_context.f32(), value, d_weights.f32());
      give_gradient(weights, d_weights);
    });
    return context;
  }

 private:
  PackedHeads value_;
  std::int64_t heads_;
  MixOptions options_;
  bool learns_;
  std::shared_ptr<Gathering> gathering_;
};

}  // namespace

std::shared_ptr<const StepwiseScores> stepwise_dot(const Context& ctx, const PackedHeads& k,
                                                   std::shared_ptr<const Sequences> keys, std::int64_t heads,
                                                   const DotOptions& options) {
  return std::make_shared<StepwiseDot>(ctx, k, keys, heads, options);
}

std::shared_ptr<const StepwiseScores> stepwise_additive(const Context& ctx, const PackedHeads& k,
                                                        const Tensor& v,
                                                        std::shared_ptr<const Sequences> keys,
                                                        const AdditiveOptions& options) {
  return std::make_shared<StepwiseAdditive>(ctx, k, v, keys, options);
}

std::shared_ptr<const StepwiseValues> stepwise_values(const Context& ctx, const PackedHeads& value,
                                                      std::shared_ptr<const Sequences> keys,
                                                      std::int64_t heads, const MixOptions& options) {
  return std::make_shared<GatheredValues>(ctx, value, keys, heads, options);
}

}  // namespace fovea::ops
