#include "fovea/attention/multi_head.h"

namespace fovea::attention {
namespace {

// Queries, keys and values leave one product: each begins as if the three were one matrix (as fairseq and
// torch.nn.MultiheadAttention do).
constexpr float packed_gain = 0.70710678f;

std::int64_t key_columns(const HeadShape& shape) { return shape.heads * shape.key_width; }
std::int64_t value_columns(const HeadShape& shape) { return shape.heads * shape.value_width; }

}  // namespace

SelfAttention::SelfAttention(nn::Builder& builder, const std::string& name, const HeadShape& shape,
                             float dropout)
    : shape_(shape),
      dropping_{dropout, builder.next_site()},
      qkv_(builder,
           {{name + ".q_proj", key_columns(shape)},
            {name + ".k_proj", key_columns(shape)},
            {name + ".v_proj", value_columns(shape)}},
           shape.width, packed_gain),
      out_(builder, name + ".out_proj", value_columns(shape), shape.width) {}

ops::AttentionOptions SelfAttention::options(bool causal, std::string_view place) const {
  return {.heads = shape_.heads,
          .kv_heads = shape_.heads,
          .key_width = shape_.key_width,
          .value_width = shape_.value_width,
          .visible = causal ? kernels::Visibility::causal() : kernels::Visibility::everything(),
          .dropping = dropping_,
          .place = place};
}

Tensor SelfAttention::operator()(const ops::Context& ctx, const Tensor& x_ND,
                                 const std::shared_ptr<const Sequences>& sequences, bool causal,
                                 std::string_view place) const {
  const Tensor qkv = qkv_(ctx, x_ND);
  const std::int64_t keys = key_columns(shape_);
  return out_(ctx, ops::attention(ctx, {qkv, 0}, {qkv, keys}, {qkv, 2 * keys}, sequences, sequences,
                                  options(causal, place)));
}

Tensor SelfAttention::step(const ops::Context& ctx, const Tensor& x_ND, const HypothesisCache& cache,
                           std::int64_t at, const std::shared_ptr<const Sequences>& tokens,
                           const std::shared_ptr<const Sequences>& past, std::string_view place) const {
  const Tensor qkv = qkv_(ctx, x_ND);
  const std::int64_t keys = key_columns(shape_);
  cache.put(at, qkv, keys);
  return out_(ctx, ops::attention(ctx, {qkv, 0}, {cache.matrix(), 0}, {cache.matrix(), keys}, tokens, past,
                                  options(true, place)));
}

CrossAttention::CrossAttention(nn::Builder& builder, const std::string& name, const HeadShape& shape,
                               float dropout)
    : shape_(shape),
      dropping_{dropout, builder.next_site()},
      q_(builder, name + ".q_proj", shape.width, key_columns(shape)),
      kv_(builder, {{name + ".k_proj", key_columns(shape)}, {name + ".v_proj", value_columns(shape)}},
          shape.width, packed_gain),
      out_(builder, name + ".out_proj", value_columns(shape), shape.width) {}

Tensor CrossAttention::operator()(const ops::Context& ctx, const Tensor& x_ND, const Tensor& keys_values,
                                  const std::shared_ptr<const Sequences>& queries,
                                  const std::shared_ptr<const Sequences>& memory,
                                  std::string_view place) const {
  const ops::AttentionOptions options{.heads = shape_.heads,
                                      .kv_heads = shape_.heads,
                                      .key_width = shape_.key_width,
                                      .value_width = shape_.value_width,
                                      .dropping = dropping_,
                                      .place = place};
  return out_(ctx, ops::attention(ctx, {q_(ctx, x_ND), 0}, {keys_values, 0},
                                  {keys_values, key_columns(shape_)}, queries, memory, options));
}

}  // namespace fovea::attention
