#include "fovea/attention/attend.h"

#include <algorithm>

#include "fovea/base/nearest.h"
#include "fovea/ops/additive_attention.h"
#include "fovea/ops/pairs_bias.h"
#include "fovea/ops/pairs_local.h"
#include "fovea/ops/relative.h"

namespace fovea::attention {
namespace {

using ops::Context;
using ops::PairsPtr;

[[noreturn]] void misused(const std::string& what, const std::string& remedy) {
  throw Error(Error::Kind::usage, "attend", what, remedy);
}

bool any_terms(const AttendOptions& options) {
  const PairTerms* const t = options.terms.get();
  return t && (!t->prefix.empty() || t->mask.defined() || t->blocks.defined() || t->bias.defined() ||
               t->relative.defined());
}

// What only the tiled kernel of dot products does.
void expect_served(const Score& score, const AttendOptions& options) {
  const PairTerms* const t = options.terms.get();
  const bool sinks = t && t->sinks.defined(), rotary = t && t->rotary.cos.defined();
  if (serving(score, options).kernel == Kernel::tiled_dot || (options.soft_cap == 0.0f && !sinks && !rotary))
    return;
  misused(std::string(options.soft_cap != 0.0f ? "a soft cap"
                      : sinks                  ? "sinks"
                                               : "rotary positions") +
              " with " + std::string(score.name()) + " scores by explicit pairs",
          "they belong to dot products under a softmax");
}

ops::AttentionOptions tiled_options(const Score& score, const Memory& memory, const AttendOptions& options) {
  return {.heads = score.heads(),
          .kv_heads = score.kv_heads(),
          .key_width = score.width(),
          .value_width = memory.value_width,
          .scale = score.scale() / options.temperature,
          .visible = options.visible,
          .soft_cap = options.soft_cap,
          .terms = options.terms,
          .dropping = options.dropping,
          .place = options.place};
}

// Keeps the weights that a kernel hands to the recorder, and passes them on.
class WeightCatcher : public ops::Recorder {
 public:
  explicit WeightCatcher(ops::Recorder* next) : next_(next) {}
  bool wants(std::string_view) const override { return true; }
  void attention(std::string_view place, const Tensor& weights) override {
    caught = weights;
    if (next_ && next_->wants(place)) next_->attention(place, weights);
  }
  Tensor caught;

 private:
  ops::Recorder* next_;
};

template <class Call>
Attended with_weights(const Context& ctx, const AttendOptions& options, Kernel kernel, const Call& call) {
  if (options.weights == WeightsWanted::no) return {call(ctx), {}, kernel};
  WeightCatcher catcher(ctx.recorder);
  Context watched = ctx;
  watched.recorder = &catcher;
  Attended attended{call(watched), {}, kernel};
  attended.weights = catcher.caught;
  return attended;
}

kernels::RowAlignment alignment_of(const AttendOptions& options) {
  return options.visible.to_end ? kernels::RowAlignment::end : kernels::RowAlignment::start;
}

// Bytes over the pairs for a mask that broadcasts, or blocks of one.
class PackedMask {
 public:
  PackedMask(const PairTerms& terms, const ops::Pairs& pairs) : pairs_(pairs) {
    bytes_.assign(static_cast<std::size_t>(pairs.elements()), 1);
    if (terms.mask.defined()) hide(terms.mask, "mask", 1, 1);
    if (terms.blocks.defined()) hide(terms.blocks, "block mask", terms.query_block, terms.key_block);
  }
  std::vector<std::uint8_t> take() { return std::move(bytes_); }

 private:
  void hide(const Tensor& mask, std::string_view what, std::int64_t query_block, std::int64_t key_block) {
    if (mask.dtype() != DType::i8) throw Error(Error::Kind::bug, "attend", "a mask that is not of i8");
    const auto blocks = [](std::int64_t extent, std::int64_t block) { return (extent + block - 1) / block; };
    const auto strides =
        ops::pair_strides(mask, what, pairs_.sequences(), pairs_.heads(),
                          blocks(pairs_.longest_T(), query_block), blocks(pairs_.longest_S(), key_block));
    const auto* from = reinterpret_cast<const std::uint8_t*>(mask.raw());
    std::size_t at = 0;
    for (std::int64_t b = 0; b < pairs_.sequences(); ++b)
      for (std::int64_t h = 0; h < pairs_.heads(); ++h)
        for (std::int64_t t = 0; t < pairs_.T(b); ++t)
          for (std::int64_t j = 0; j < pairs_.S(b); ++j, ++at)
            if (!from[b * strides.sequence + h * strides.head + t / query_block * strides.query +
                      j / key_block * strides.key])
              bytes_[at] = 0;
  }

  const ops::Pairs& pairs_;
  std::vector<std::uint8_t> bytes_;
};

std::shared_ptr<const ops::VisiblePairs> pair_mask(const AttendOptions& options, const ops::Pairs& pairs) {
  auto mask = std::make_shared<ops::VisiblePairs>();
  const auto bound = [](std::int64_t keys) { return keys >= Visibility::unbounded ? -1 : keys; };
  mask->alignment = alignment_of(options);
  mask->left = bound(options.visible.left);
  mask->right = bound(options.visible.right);
  if (options.local.centre.defined()) {
    mask->centre = options.local.centre.detached();
    mask->reach = options.local.reach;
  }
  if (const PairTerms* const terms = options.terms.get()) {
    mask->prefix = terms->prefix;
    if (terms->mask.defined() || terms->blocks.defined()) mask->mask = PackedMask(*terms, pairs).take();
  }
  return mask;
}

Tensor explicit_scores(const Context& ctx, const Score& score, const PackedHeads& q,
                       const std::shared_ptr<const Sequences>& queries, const Memory& memory,
                       const PairsPtr& pairs) {
  switch (score.form()) {
    case Score::Form::dot:
      return ops::dot_scores(ctx, q, memory.keys, pairs, {score.kv_heads(), score.width(), score.scale()});
    case Score::Form::additive:
      return ops::additive_scores(ctx, q, memory.keys, score.v(ctx), queries, memory.sequences,
                                  {.heads = score.heads(), .width = score.width()});
    case Score::Form::pairs:
      break;
  }
  return score.pairs(ctx, q, memory.keys, pairs);
}

Tensor weights_of(const Context& ctx, const Tensor& scores, const PairsPtr& pairs,
                  const AttendOptions& options) {
  const auto mask = pair_mask(options, *pairs);
  if (options.normaliser == Normaliser::monotonic) {
    ops::MonotonicOptions monotonic = options.monotonic;
    monotonic.mask = mask;
    return ops::monotonic(ctx, scores, pairs, monotonic, options.previous);
  }
  const auto normaliser = options.normaliser == Normaliser::softmax     ? ops::Normaliser::softmax
                          : options.normaliser == Normaliser::sparsemax ? ops::Normaliser::sparsemax
                                                                        : ops::Normaliser::hardmax;
  const Tensor weights = ops::normalise(ctx, scores, pairs, {normaliser, options.temperature, mask});
  if (!options.local.centre.defined()) return weights;
  return ops::gaussian_window(ctx, weights, options.local.centre,
                              static_cast<float>(options.local.reach) / 2.0f, pairs);
}

Attended attend_by_pairs(const Context& ctx, const Score& score, const PackedHeads& q,
                         const std::shared_ptr<const Sequences>& queries, const Memory& memory,
                         const AttendOptions& options) {
  const PairsPtr pairs = ops::Pairs::of(queries, memory.sequences, score.heads());
  Tensor scores = memory.stepwise_scores ? memory.stepwise_scores->scores(ctx, q, pairs)
                                         : explicit_scores(ctx, score, q, queries, memory, pairs);
  if (const PairTerms* const terms = options.terms.get()) {
    if (terms->bias.defined()) scores = ops::add_bias(ctx, scores, terms->bias, pairs);
    if (terms->relative.defined())
      scores = ops::add_relative(
          ctx, scores, terms->relative, terms->relative_zero, pairs,
          options.visible.to_end ? kernels::RowAlignment::end : kernels::RowAlignment::start);
  }
  const auto alignment = alignment_of(options);
  const ops::ClippedRelative by_key{score.width(), score.scale(), alignment};
  if (options.relative_vectors.keys.defined())
    scores = ops::add_relative_keys(ctx, scores, q, options.relative_vectors.keys, pairs, by_key);
  const Tensor weights = weights_of(ctx, scores, pairs, options);
  if (ctx.recorder && ctx.recorder->wants(options.place)) ctx.recorder->attention(options.place, weights);
  const Tensor kept = ops::pair_dropout(ctx, weights, pairs, options.dropping);
  Tensor context = memory.stepwise_values
                       ? memory.stepwise_values->mix(ctx, kept, pairs)
                       : ops::mix(ctx, kept, memory.values, pairs, {score.kv_heads(), memory.value_width});
  if (options.relative_vectors.values.defined())
    context = ops::add_relative_values(ctx, context, kept, options.relative_vectors.values, pairs,
                                       {memory.value_width, 1.0f, alignment});
  return {context, options.weights == WeightsWanted::no ? Tensor() : weights,
          memory.stepwise_values ? Kernel::stepwise : Kernel::pairs};
}

// Whether the explicit pairs of a step can serve: all but what only the tiled kernel of dot products does.
bool steps_serve(const Memory& memory, const AttendOptions& options) {
  const PairTerms* const t = options.terms.get();
  return memory.stepwise_values && options.soft_cap == 0.0f &&
         !(t && (t->sinks.defined() || t->rotary.cos.defined()));
}

}  // namespace

std::string_view name_of(Kernel kernel) {
  switch (kernel) {
    case Kernel::tiled_dot:
      return "tiled dot product";
    case Kernel::tiled_additive:
      return "tiled additive";
    case Kernel::stepwise:
      return "stepwise";
    case Kernel::pairs:
      break;
  }
  return "explicit pairs";
}

std::string_view name_of(Normaliser normaliser) {
  switch (normaliser) {
    case Normaliser::softmax:
      return "softmax";
    case Normaliser::sparsemax:
      return "sparsemax";
    case Normaliser::hardmax:
      return "hardmax";
    case Normaliser::monotonic:
      break;
  }
  return "monotonic";
}

Normaliser normaliser_named(std::string_view name) {
  std::vector<std::string> known;
  for (const auto each :
       {Normaliser::softmax, Normaliser::sparsemax, Normaliser::hardmax, Normaliser::monotonic}) {
    if (name == name_of(each)) return each;
    known.emplace_back(name_of(each));
  }
  const std::string_view near = nearest(name, known);
  throw Error(Error::Kind::usage, "normaliser",
              "'" + std::string(name) + "' is none of softmax, sparsemax, hardmax, monotonic",
              near.empty() ? "" : "did you mean " + std::string(near) + "?");
}

Serving serving(const Score& score, const AttendOptions& options) {
  if (options.normaliser == Normaliser::monotonic)
    return {Kernel::pairs, "monotonic attention goes from one row's weights to the next"};
  if (options.normaliser != Normaliser::softmax)
    return {Kernel::pairs, "this normaliser is computed from whole rows"};
  if (options.local.centre.defined()) return {Kernel::pairs, "each query has a centre of its own"};
  if (options.weights == WeightsWanted::with_gradient)
    return {Kernel::pairs, "weights that take a gradient have to be kept"};
  if (options.relative_vectors.defined()) return {Kernel::pairs, "vectors by distance join each pair"};
  switch (score.form()) {
    case Score::Form::dot:
      return {Kernel::tiled_dot, ""};
    case Score::Form::additive:
      if (any_terms(options))
        return {Kernel::pairs, "the tiled additive kernel knows windows, and no masks or biases"};
      if (options.temperature != 1.0f) return {Kernel::pairs, "the tiled additive kernel has no temperature"};
      return {Kernel::tiled_additive, ""};
    case Score::Form::pairs:
      break;
  }
  return {Kernel::pairs, "these scores are made pair by pair"};
}

Memory remember(const Context& ctx, const Score& score, const PackedHeads& k, const PackedHeads& v,
                std::int64_t value_width, std::shared_ptr<const Sequences> sequences) {
  Memory memory{score.keys(ctx, k), v, value_width, std::move(sequences), {}};
  if (score.form() == Score::Form::additive && !ctx.tape)
    memory.prepared = ops::prepare_additive_keys(ctx, memory.keys, score.heads(), score.width());
  return memory;
}

Memory remember_stepwise(const Context& ctx, const Score& score, const PackedHeads& k, const PackedHeads& v,
                         std::int64_t value_width, std::shared_ptr<const Sequences> sequences) {
  Memory memory = remember(ctx, score, k, v, value_width, std::move(sequences));
  if (const Tensor W = score.query_weight(); W.defined())
    memory.stepwise_queries = std::make_shared<ops::StepLinear>(ctx, W, Tensor());
  if (!ctx.tape) return memory;
  memory.stepwise_values =
      ops::stepwise_values(ctx, v, memory.sequences, score.heads(), {score.kv_heads(), memory.value_width});
  if (score.form() == Score::Form::dot)
    memory.stepwise_scores = ops::stepwise_dot(ctx, memory.keys, memory.sequences, score.heads(),
                                               {score.kv_heads(), score.width(), score.scale()});
  if (score.form() == Score::Form::additive)
    memory.stepwise_scores = ops::stepwise_additive(ctx, memory.keys, score.v(ctx), memory.sequences,
                                                    {.heads = score.heads(), .width = score.width()});
  return memory;
}

Attended attend(const Context& ctx, const Score& score, const PackedHeads& q,
                const std::shared_ptr<const Sequences>& queries, const Memory& memory,
                const AttendOptions& options) {
  if (!(options.temperature > 0.0f))
    misused("a temperature of " + std::to_string(options.temperature), "it divides the scores: above 0");
  if (options.normaliser == Normaliser::monotonic &&
      (options.temperature != 1.0f || options.local.centre.defined()))
    misused("monotonic attention with a temperature or a local centre", "it has neither");
  expect_served(score, options);
  if (options.relative_vectors.keys.defined() && score.form() != Score::Form::dot)
    misused("vectors by distance for keys with " + std::string(score.name()) + " scores",
            "they join dot products");
  const Kernel kernel = serving(score, options).kernel;
  const PackedHeads projected = memory.stepwise_queries && q.first == 0
                                    ? PackedHeads{(*memory.stepwise_queries)(ctx, q.matrix)}
                                    : score.queries(ctx, q);
  if (steps_serve(memory, options)) {
    if (queries->size() >= memory.sequences->size())
      return attend_by_pairs(ctx, score, projected, queries, memory, options);
    Memory first = memory;
    first.sequences = memory.sequences->first(queries->size());
    return attend_by_pairs(ctx, score, projected, queries, first, options);
  }
  if (kernel == Kernel::tiled_dot)
    return with_weights(ctx, options, kernel, [&](const Context& watched) {
      return ops::attention(watched, projected, memory.keys, memory.values, queries, memory.sequences,
                            tiled_options(score, memory, options));
    });
  if (kernel == Kernel::tiled_additive)
    return with_weights(ctx, options, kernel, [&](const Context& watched) {
      return ops::additive_attention(watched, projected, memory.keys, score.v(ctx), memory.values, queries,
                                     memory.sequences,
                                     {.heads = score.heads(),
                                      .width = score.width(),
                                      .value_width = memory.value_width,
                                      .visible = options.visible,
                                      .dropping = options.dropping,
                                      .place = options.place,
                                      .prepared = memory.prepared});
    });
  return attend_by_pairs(ctx, score, projected, queries, memory, options);
}

namespace {

std::shared_ptr<const Sequences> equal_lengths(std::int64_t count, std::int64_t length) {
  auto sequences = std::make_shared<Sequences>();
  for (std::int64_t b = 0; b < count; ++b) sequences->start.push_back(b * length);
  sequences->count.assign(static_cast<std::size_t>(count), length);
  return sequences;
}

}  // namespace

Tensor attend(const Context& ctx, const Tensor& q, const Tensor& k, const Tensor& v,
              const AttendOptions& options) {
  expect_shape(q, {-1, -1, -1, -1}, "attend: q [B, T, H, E]");
  const std::int64_t B = q.dim(0), T = q.dim(1), H = q.dim(2), E = q.dim(3);
  expect_shape(k, {B, -1, -1, E}, "attend: k [B, S, H_kv, E]");
  const std::int64_t S = k.dim(1), kv_heads = k.dim(2);
  expect_shape(v, {B, S, kv_heads, -1}, "attend: v [B, S, H_kv, Ev]");
  const std::int64_t Ev = v.dim(3);
  const auto matrix = [](const Tensor& x) {
    return PackedHeads{x.reshape({x.dim(0) * x.dim(1), x.dim(2) * x.dim(3)})};
  };
  const DotScore score = DotScore::scaled({H, kv_heads, E});
  const Memory memory = remember(ctx, score, matrix(k), matrix(v), Ev, equal_lengths(B, S));
  return attend(ctx, score, matrix(q), equal_lengths(B, T), memory, options).context.reshape({B, T, H, Ev});
}

}  // namespace fovea::attention
