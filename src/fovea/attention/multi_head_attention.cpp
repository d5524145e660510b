#include "fovea/attention/multi_head_attention.h"

#include "fovea/ops/rows.h"

namespace fovea::attention {
namespace {

MultiHeadOptions checked(MultiHeadOptions options) {
  if (options.kv_heads == 0) options.kv_heads = options.heads;
  if (options.key_input == 0) options.key_input = options.width;
  if (options.value_input == 0) options.value_input = options.width;
  if (options.heads < 1 || options.width < 1 || options.width % options.heads != 0)
    throw Error(
        Error::Kind::usage, "multi-head attention",
        "H = " + std::to_string(options.heads) + " heads do not divide D = " + std::to_string(options.width));
  return options;
}

}  // namespace

MultiHeadAttention::MultiHeadAttention(nn::Builder& builder, const std::string& name,
                                       const MultiHeadOptions& options)
    : options_(checked(options)),
      key_columns_(options_.kv_heads * (options_.width / options_.heads)),
      score_(DotScore::scaled({options_.heads, options_.kv_heads, options_.width / options_.heads})),
      dropping_{options_.dropout, builder.next_site()},
      out_(builder, name + "out_proj", options_.width, options_.width,
           options_.bias ? nn::Bias::with : nn::Bias::without) {
  const std::int64_t D = options_.width;
  const auto add = [&](const char* part, std::int64_t rows, std::int64_t in) {
    return builder.parameters().add(name + part, {rows, in}, nn::Initial::xavier(in, rows));
  };
  if (options_.key_input == D && options_.value_input == D) {
    packed_ = add("in_proj_weight", D + 2 * key_columns_, D);
  } else {
    q_ = add("q_proj_weight", D, D);
    k_ = add("k_proj_weight", key_columns_, options_.key_input);
    v_ = add("v_proj_weight", key_columns_, options_.value_input);
  }
  if (options_.bias)
    bias_ = builder.parameters().add(name + "in_proj_bias", {D + 2 * key_columns_}, nn::Initial::zeros());
}

// x times rows [begin, end) of the packed projection.
Tensor MultiHeadAttention::project_rows(const ops::Context& ctx, const Tensor& x, std::int64_t begin,
                                        std::int64_t end) const {
  const std::int64_t D = options_.width;
  const Tensor bias = bias_ ? ops::rows(ctx, bias_->value, begin, end) : Tensor();
  if (packed_) return ops::linear(ctx, x, ops::rows(ctx, packed_->value, begin, end), bias);
  return ops::linear(ctx, x, begin == 0 ? q_->value : begin == D ? k_->value : v_->value, bias);
}

// As few products as the operands allow: one for self-attention, two where keys and values are of the same
// rows.
MultiHeadAttention::Projected MultiHeadAttention::project(const ops::Context& ctx, const Tensor& q,
                                                          const Tensor& k, const Tensor& v) const {
  const std::int64_t D = options_.width, keys = D + key_columns_, all = keys + key_columns_;
  const bool same_kv = packed_ && k.raw() == v.raw();
  if (same_kv && q.raw() == k.raw()) {
    const Tensor qkv = ops::linear(ctx, q, packed_->value, bias_ ? bias_->value : Tensor());
    return {{qkv, 0}, {qkv, D}, {qkv, keys}};
  }
  const Tensor queries = project_rows(ctx, q, 0, D);
  if (same_kv) {
    const Tensor kv = project_rows(ctx, k, D, all);
    return {{queries}, {kv, 0}, {kv, key_columns_}};
  }
  return {{queries}, {project_rows(ctx, k, D, keys)}, {project_rows(ctx, v, keys, all)}};
}

Attended MultiHeadAttention::operator()(const ops::Context& ctx, const Tensor& q, const Tensor& k,
                                        const Tensor& v, const std::shared_ptr<const Sequences>& queries,
                                        const std::shared_ptr<const Sequences>& keys,
                                        AttendOptions how) const {
  how.dropping = dropping_;
  const Projected projected = project(ctx, q, k, v);
  const Memory memory{projected.k, projected.v, options_.width / options_.heads, keys};
  Attended attended = attend(ctx, score_, projected.q, queries, memory, how);
  attended.context = out_(ctx, attended.context);
  return attended;
}

}  // namespace fovea::attention
