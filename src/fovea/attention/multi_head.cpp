#include "fovea/attention/multi_head.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace fovea::attention {
namespace {

// Queries, keys and values leave one product: each begins as if the three were one matrix (as fairseq and
// torch.nn.MultiheadAttention do).
constexpr float packed_gain = 0.70710678f;

std::int64_t key_columns(const HeadShape& shape) { return shape.heads * shape.key_width; }
std::int64_t value_columns(const HeadShape& shape) { return shape.heads * shape.value_width; }

float scale_of(const HeadShape& shape, const HeadForm& form) {
  return form.scale != 0.0f ? form.scale : 1.0f / std::sqrt(static_cast<float>(shape.key_width));
}

std::string joined(const std::string& name, std::string_view part) { return name + std::string(part); }

nn::LinearForm packed_form(const HeadShape& shape, const HeadForm& form) {
  return {.bias = form.bias, .initial = nn::Initial::xavier(shape.width, key_columns(shape), packed_gain)};
}

}  // namespace

SelfAttention::SelfAttention(nn::Builder& builder, const std::string& name, const HeadShape& shape,
                             float dropout, const HeadForm& form)
    : shape_(shape),
      scale_(scale_of(shape, form)),
      dropping_{dropout, builder.next_site()},
      qkv_(builder,
           {{joined(name, form.q), key_columns(shape)},
            {joined(name, form.k), key_columns(shape)},
            {joined(name, form.v), value_columns(shape)}},
           shape.width, packed_form(shape, form)),
      out_(builder, joined(name, form.out), value_columns(shape), shape.width, form.bias) {}

ops::AttentionOptions SelfAttention::options(bool causal, std::string_view place) const {
  return {.heads = shape_.heads,
          .kv_heads = shape_.heads,
          .key_width = shape_.key_width,
          .value_width = shape_.value_width,
          .scale = scale_,
          .visible = causal ? kernels::Visibility::causal() : kernels::Visibility::everything(),
          .dropping = dropping_,
          .place = place};
}

Tensor SelfAttention::operator()(const ops::Context& ctx, const Tensor& x_ND,
                                 const std::shared_ptr<const Sequences>& sequences, bool causal,
                                 std::string_view place,
                                 const std::shared_ptr<const ops::PairTerms>& terms) const {
  const Tensor qkv = qkv_(ctx, x_ND);
  const std::int64_t keys = key_columns(shape_);
  ops::AttentionOptions how = options(causal, place);
  how.terms = terms;
  return out_(ctx, ops::attention(ctx, {qkv, 0}, {qkv, keys}, {qkv, 2 * keys}, sequences, sequences, how));
}

void SelfAttention::step(const ops::Context& ctx, const float* x, const HypothesisCache& cache,
                         const Past& past, float* wide, float* context, float* out,
                         std::string_view place) const {
  const std::int64_t N = past.rows, keys = key_columns(shape_), width = cache_width() + keys;
  qkv_.rows(ctx.exec, N, x, wide);
  for (std::int64_t n = 0; n < N; ++n)
    std::copy_n(wide + n * width + keys, cache_width(), cache.row(past.slot[n]));
  kernels::AttentionExtents extents;
  extents.sequences = N;
  extents.heads = extents.kv_heads = shape_.heads;
  extents.key_width = shape_.key_width;
  extents.value_width = shape_.value_width;
  extents.q = {width, shape_.key_width};
  extents.k = {cache_width(), shape_.key_width};
  extents.v = {cache_width(), shape_.value_width};
  extents.out = {value_columns(shape_), shape_.value_width};
  extents.q_start = past.number;
  extents.q_count = past.one;
  extents.k_start = past.start;
  extents.k_count = past.count;
  extents.key_rows = past.slots;
  extents.visible = kernels::Visibility::causal();
  extents.scale = scale_;
  kernels::AttentionInputs inputs{wide, cache.row(0), cache.row(0) + keys};
  if (past.distance_bias) {
    extents.relative = {.head = past.distances, .zero = 0, .count = past.distances};
    inputs.relative = past.distance_bias;
  }
  const bool recorded = ctx.recorder && ctx.recorder->wants(place);
  const Tensor log_sums = recorded ? Tensor::empty({shape_.heads, N}) : Tensor();
  kernels::attention_forward(ctx.exec, extents, inputs, context, recorded ? log_sums.f32() : nullptr, N);
  if (recorded) {
    const std::int64_t pairs = std::accumulate(past.count, past.count + N, std::int64_t{0});
    const Tensor weights = Tensor::empty({shape_.heads * pairs});
    kernels::AttentionWeights wanted;
    wanted.all = weights.f32();
    kernels::attention_weights(ctx.exec, extents, inputs, log_sums.f32(), N, wanted);
    ctx.recorder->attention(place, weights);
  }
  out_.rows(ctx.exec, N, context, out);
}

CrossAttention::CrossAttention(nn::Builder& builder, const std::string& name, const HeadShape& shape,
                               float dropout, const HeadForm& form)
    : shape_(shape),
      scale_(scale_of(shape, form)),
      dropping_{dropout, builder.next_site()},
      q_(builder, joined(name, form.q), shape.width, key_columns(shape), form.bias),
      kv_(builder, {{joined(name, form.k), key_columns(shape)}, {joined(name, form.v), value_columns(shape)}},
          shape.width, packed_form(shape, form)),
      out_(builder, joined(name, form.out), value_columns(shape), shape.width, form.bias) {}

Tensor CrossAttention::operator()(const ops::Context& ctx, const Tensor& x_ND, const Tensor& keys_values,
                                  const std::shared_ptr<const Sequences>& queries,
                                  const std::shared_ptr<const Sequences>& memory,
                                  std::string_view place) const {
  const ops::AttentionOptions options{.heads = shape_.heads,
                                      .kv_heads = shape_.heads,
                                      .key_width = shape_.key_width,
                                      .value_width = shape_.value_width,
                                      .scale = scale_,
                                      .dropping = dropping_,
                                      .place = place};
  return out_(ctx, ops::attention(ctx, {q_(ctx, x_ND), 0}, {keys_values, 0},
                                  {keys_values, key_columns(shape_)}, queries, memory, options));
}

void CrossAttention::step(const ops::Context& ctx, std::int64_t N, const float* x,
                          std::span<const kernels::BeamQueries> sentences, float* wide, float* context,
                          float* out, std::string_view place) const {
  q_.rows(ctx.exec, N, x, wide);
  const kernels::BeamExtents extents{.sentences = sentences.data(),
                                     .count = std::ssize(sentences),
                                     .heads = shape_.heads,
                                     .key_width = shape_.key_width,
                                     .value_width = shape_.value_width,
                                     .q_stride = key_columns(shape_),
                                     .value_stride = value_columns(shape_),
                                     .out_stride = value_columns(shape_),
                                     .scale = scale_};
  Tensor weights;
  if (ctx.recorder && ctx.recorder->wants(place)) {
    std::int64_t pairs = 0;
    for (const auto& sentence : sentences) pairs += sentence.count * sentence.length;
    weights = Tensor::empty({shape_.heads * pairs});
  }
  kernels::beam_attention(ctx.exec, extents, wide, context, weights.defined() ? weights.f32() : nullptr);
  if (weights.defined()) ctx.recorder->attention(place, weights);
  out_.rows(ctx.exec, N, context, out);
}

}  // namespace fovea::attention
