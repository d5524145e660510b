#include "fovea/attention/record.h"

#include "fovea/base/error.h"

namespace fovea::attention {

Tensor mean_over_heads(const Tensor& weights, std::int64_t heads, std::int64_t T, std::int64_t S) {
  if (weights.elements() != heads * T * S)
    throw Error(Error::Kind::bug, "attention weights",
                weights.shape().text() + " is not [" + std::to_string(heads) + ", " + std::to_string(T) +
                    ", " + std::to_string(S) + "]");
  Tensor mean = Tensor::zeros({T, S});
  for (std::int64_t h = 0; h < heads; ++h)
    for (std::int64_t i = 0; i < T * S; ++i)
      mean.f32()[i] += weights.f32()[h * T * S + i] / static_cast<float>(heads);
  return mean;
}

}  // namespace fovea::attention
