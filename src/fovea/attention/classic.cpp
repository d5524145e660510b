#include "fovea/attention/classic.h"

#include "fovea/ops/elementwise.h"
#include "fovea/ops/norm.h"

namespace fovea::attention {
namespace {

std::shared_ptr<const Score> make_score(nn::Builder& builder, const std::string& name,
                                        LuongAttention::ScoreKind kind, std::int64_t query_width,
                                        std::int64_t key_width) {
  switch (kind) {
    case LuongAttention::ScoreKind::dot:
      if (query_width != key_width)
        throw Error(Error::Kind::usage, "dot score",
                    "queries are " + std::to_string(query_width) + " wide, keys " + std::to_string(key_width),
                    "give both one width, or take the general score");
      return std::make_shared<DotScore>(ScoreHeads{.heads = 1, .width = key_width});
    case LuongAttention::ScoreKind::general:
      return std::make_shared<GeneralScore>(builder, name, query_width,
                                            ScoreHeads{.heads = 1, .width = key_width});
    case LuongAttention::ScoreKind::concat:
      break;
  }
  return std::make_shared<ConcatScore>(builder, name, query_width, key_width,
                                       ScoreHeads{.heads = 1, .width = query_width});
}

}  // namespace

LuongAttention::LuongAttention(nn::Builder& builder, const std::string& name, ScoreKind kind,
                               std::int64_t query_width, std::int64_t key_width)
    : score_(make_score(builder, name, kind, query_width, key_width)),
      from_context_(builder, name + ".W_context", key_width, query_width, nn::Bias::without),
      from_query_(builder, name + ".W_query", query_width, query_width, nn::Bias::without) {}

LuongAttention::Result LuongAttention::operator()(const ops::Context& ctx, const Tensor& q,
                                                  const std::shared_ptr<const Sequences>& queries,
                                                  const Memory& memory, const AttendOptions& how) const {
  Attended attended = attend(ctx, *score_, {q}, queries, memory, how);
  const Tensor sum = ops::add_residual(ctx, from_context_(ctx, attended.context), from_query_(ctx, q));
  return {ops::activate(ctx, sum, kernels::Activation::tanh), std::move(attended)};
}

}  // namespace fovea::attention
