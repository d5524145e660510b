#include "fovea/attention/pooling.h"

#include "fovea/base/error.h"
#include "fovea/ops/elementwise.h"
#include "fovea/ops/embed.h"

namespace fovea::attention {
namespace {

using ops::Sequences;

/// B sequences of `count` rows, one after another.
std::shared_ptr<const Sequences> blocks(std::int64_t B, std::int64_t count) {
  auto sequences = std::make_shared<Sequences>();
  for (std::int64_t b = 0; b < B; ++b) {
    sequences->start.push_back(b * count);
    sequences->count.push_back(count);
  }
  return sequences;
}

/// The rows of `table` again for every sequence: [B*M, width].
Tensor for_each_sequence(const ops::Context& ctx, const Tensor& table, std::int64_t B) {
  const std::int64_t M = table.dim(0);
  Tensor ids = Tensor::empty({B * M}, DType::i32);
  for (std::int64_t i = 0; i < B * M; ++i) ids.i32()[i] = static_cast<std::int32_t>(i % M);
  return ops::embed(ctx, ids, table, 1.0f, {}, {});
}

/// Whose each row is: [N].
Tensor owners(const Sequences& sequences, std::int64_t N) {
  Tensor owner = Tensor::zeros({N}, DType::i32);
  for (std::size_t b = 0; b < sequences.start.size(); ++b)
    for (std::int64_t i = 0; i < sequences.count[b]; ++i)
      owner.i32()[sequences.start[b] + i] = static_cast<std::int32_t>(b);
  return owner;
}

void expect_covered(const Tensor& h, std::int64_t width, const Sequences& sequences) {
  expect_shape(h, {-1, width}, "pooling: h [N, D]");
  std::int64_t rows = 0;
  for (std::size_t b = 0; b < sequences.start.size(); ++b) {
    rows += sequences.count[b];
    if (sequences.start[b] < 0 || sequences.count[b] < 0 ||
        sequences.start[b] + sequences.count[b] > h.dim(0))
      throw Error(Error::Kind::bug, "pooling",
                  "sequence " + std::to_string(b) + " lies outside of h [N, D] " + h.shape().text());
  }
  if (rows != h.dim(0) || !sequences.rows.empty())
    throw Error(Error::Kind::bug, "pooling",
                "B = " + std::to_string(sequences.size()) + " sequences have " + std::to_string(rows) +
                    " rows, h [N, D] is " + h.shape().text());
}

QueryPoolingShape checked(const std::string& name, const QueryPoolingShape& shape) {
  if (shape.width >= 1 && shape.heads >= 1 && shape.width % shape.heads == 0 && shape.queries >= 1)
    return shape;
  throw Error(Error::Kind::model, name,
              "D = " + std::to_string(shape.width) +
                  " does not divide into H = " + std::to_string(shape.heads) +
                  " heads, or M = " + std::to_string(shape.queries) + " queries are none");
}

}  // namespace

WordAttention::WordAttention(nn::Builder& builder, const std::string& name, std::int64_t width,
                             std::int64_t inner)
    : width_(width),
      inner_(inner),
      projection_(builder, name + ".projection", width, inner),
      query_(builder.parameters().add(name + ".query", {1, inner}, nn::Initial::xavier(inner, 1))) {}

WordAttention::Weighing WordAttention::weigh(const ops::Context& ctx, const Tensor& h, std::int64_t B) const {
  return {for_each_sequence(ctx, query_->value, B),
          projection_(ctx, h, {.activation = kernels::Activation::tanh})};
}

Tensor WordAttention::mix(const ops::Context& ctx, const Weighing& weighing, const Tensor& values,
                          const std::shared_ptr<const Sequences>& sequences, std::string_view place) const {
  return ops::attention(
      ctx, {weighing.query, 0}, {weighing.keys, 0}, {values, 0}, blocks(sequences->size(), 1), sequences,
      {.key_width = inner_, .value_width = width_, .scale = 1.0f, .dropping = {}, .place = place});
}

Tensor WordAttention::operator()(const ops::Context& ctx, const Tensor& h,
                                 const std::shared_ptr<const Sequences>& sequences,
                                 std::string_view place) const {
  expect_covered(h, width_, *sequences);
  return mix(ctx, weigh(ctx, h, sequences->size()), h, sequences, place);
}

StatisticsPooling::Result StatisticsPooling::operator()(const ops::Context& ctx, const Tensor& h,
                                                        const std::shared_ptr<const Sequences>& sequences,
                                                        std::string_view place) const {
  expect_covered(h, attention_.width_, *sequences);
  const auto weighing = attention_.weigh(ctx, h, sequences->size());
  const Tensor mean = attention_.mix(ctx, weighing, h, sequences, place);
  const Tensor minus_mean = ops::embed(ctx, owners(*sequences, h.dim(0)), mean, -1.0f, {}, {});
  const Tensor difference = ops::add(ctx, h, minus_mean);
  // Weighs again by the same numbers: told to no recorder twice.
  ops::Context unwatched = ctx;
  unwatched.recorder = nullptr;
  const Tensor variance =
      attention_.mix(unwatched, weighing, ops::multiply(ctx, difference, difference), sequences, {});
  return {mean, ops::root(ctx, variance)};
}

QueryPooling::QueryPooling(nn::Builder& builder, const std::string& name, const QueryPoolingShape& shape)
    : shape_(checked(name, shape)),
      query_(builder.parameters().add(name + ".query", {shape.queries, shape.width},
                                      nn::Initial::xavier(shape.width, shape.width))),
      kv_(builder, {{name + ".k_proj", shape.width}, {name + ".v_proj", shape.width}}, shape.width, 1.0f),
      out_(builder, name + ".out_proj", shape.width, shape.width) {}

Tensor QueryPooling::operator()(const ops::Context& ctx, const Tensor& h,
                                const std::shared_ptr<const Sequences>& sequences,
                                std::string_view place) const {
  expect_covered(h, shape_.width, *sequences);
  const std::int64_t B = sequences->size(), E = shape_.width / shape_.heads;
  const Tensor kv = kv_(ctx, h);
  return out_(ctx, ops::attention(ctx, {for_each_sequence(ctx, query_->value, B), 0}, {kv, 0},
                                  {kv, shape_.width}, blocks(B, shape_.queries), sequences,
                                  {.heads = shape_.heads,
                                   .kv_heads = shape_.heads,
                                   .key_width = E,
                                   .value_width = E,
                                   .dropping = {},
                                   .place = place}));
}

}  // namespace fovea::attention
