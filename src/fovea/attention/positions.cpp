#include "fovea/attention/positions.h"

#include <algorithm>
#include <cmath>

#include "fovea/base/error.h"
#include "fovea/ops/embed.h"

namespace fovea::attention {

Tensor sinusoidal_positions(std::int64_t positions, std::int64_t width, SinusoidalOrder order) {
  Tensor table = Tensor::empty({positions, width});
  const std::int64_t sines = (width + 1) / 2;
  const bool interleaved = order == SinusoidalOrder::interleaved;
  for (std::int64_t p = 0; p < positions; ++p) {
    float* row = table.f32() + p * width;
    for (std::int64_t i = 0; i < sines; ++i) {
      const double angle = static_cast<double>(p) /
                           std::pow(10000.0, 2.0 * static_cast<double>(i) / static_cast<double>(width));
      const std::int64_t sine = interleaved ? 2 * i : i, cosine = interleaved ? sine + 1 : sines + i;
      row[sine] = static_cast<float>(std::sin(angle));
      if (cosine < width) row[cosine] = static_cast<float>(std::cos(angle));
    }
  }
  return table;
}

Tensor fairseq_positions(std::int64_t positions, std::int64_t width, std::int64_t first) {
  Tensor table = Tensor::zeros({positions, width});
  const std::int64_t half = width / 2;
  const double step = std::log(10000.0) / static_cast<double>(std::max<std::int64_t>(half - 1, 1));
  for (std::int64_t i = 0; i < half; ++i) {
    const float frequency = std::exp(static_cast<float>(i) * static_cast<float>(-step));
    for (std::int64_t p = 0; p < positions; ++p) {
      const float angle = static_cast<float>(first + p) * frequency;
      table.f32()[p * width + i] = std::sin(angle);
      table.f32()[p * width + half + i] = std::cos(angle);
    }
  }
  return table;
}

LearnedPositions::LearnedPositions(nn::Builder& builder, const std::string& name, std::int64_t positions,
                                   std::int64_t width)
    : name_(name),
      table_(builder.parameters().add(name + ".weight", {positions, width}, nn::Initial::normal(0.02f))) {}

void LearnedPositions::expect_within(const Tensor& position) const {
  const std::int64_t positions = table_->shape[0];
  for (std::int64_t n = 0; n < position.elements(); ++n) {
    const std::int32_t p = position.i32()[n];
    if (p >= 0 && p < positions) continue;
    throw Error(Error::Kind::data, name_,
                "row " + std::to_string(n) + " stands at position " + std::to_string(p) +
                    ", but positions were learned for 0 to " + std::to_string(positions - 1),
                "split the text into pieces of at most " + std::to_string(positions) + " tokens");
  }
}

Tensor LearnedPositions::operator()(const ops::Context& ctx, const Tensor& x_ND,
                                    const Tensor& position) const {
  expect_within(position);
  return ops::add_residual(ctx, ops::embed(ctx, position, table_->value, 1.0f, {}, {}), x_ND);
}

}  // namespace fovea::attention
