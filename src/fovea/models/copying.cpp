#include "fovea/models/copying.h"

#include "fovea/ops/elementwise.h"

namespace fovea::models {

CopyGate::CopyGate(nn::Builder& builder, const std::string& name, std::int64_t H, std::int64_t M,
                   std::int64_t E)
    : state_(builder, name + ".state", H, 1),
      context_(builder, name + ".context", M, 1, nn::Bias::without),
      input_(builder, name + ".input", E, 1, nn::Bias::without) {}

Tensor CopyGate::operator()(const ops::Context& ctx, const Tensor& s, const Tensor& c,
                            const Tensor& x) const {
  const Tensor seen = ops::add(ctx, state_(ctx, s), context_(ctx, c));
  return ops::sigmoid(ctx, ops::add(ctx, seen, input_(ctx, x)));
}

}  // namespace fovea::models
