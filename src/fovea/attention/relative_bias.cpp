#include "fovea/attention/relative_bias.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "fovea/base/error.h"

namespace fovea::attention {
namespace {

void expect_heads(std::int64_t heads, const char* where) {
  if (heads < 1) throw Error(Error::Kind::bug, where, "H = " + std::to_string(heads) + " heads");
}

}  // namespace

Distances Distances::between(std::int64_t T, std::int64_t S, bool to_end) {
  if (T < 0 || S < 0)
    throw Error(Error::Kind::bug, "distances",
                "T = " + std::to_string(T) + " queries and S = " + std::to_string(S) + " keys");
  const std::int64_t before = std::max<std::int64_t>(to_end ? T : S, 1) - 1;
  const std::int64_t behind = std::max<std::int64_t>(to_end ? S : T, 1) - 1;
  return {-before, behind};
}

std::vector<float> alibi_slopes(std::int64_t heads) {
  expect_heads(heads, "alibi");
  const auto power = static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(heads)));
  const auto slope = [](std::int64_t k, std::int64_t of) {
    return static_cast<float>(std::exp2(-8.0 * static_cast<double>(k) / static_cast<double>(of)));
  };
  std::vector<float> slopes;
  for (std::int64_t k = 1; k <= power; ++k) slopes.push_back(slope(k, power));
  for (std::int64_t k = 1; k <= heads - power; ++k) slopes.push_back(slope(2 * k - 1, 2 * power));
  return slopes;
}

DistanceBias alibi(std::int64_t heads, const Distances& distances) {
  const auto slopes = alibi_slopes(heads);
  DistanceBias bias{Tensor::empty({heads, distances.count()}), distances};
  float* value = bias.values.f32();
  for (const float slope : slopes)
    for (std::int64_t d = distances.least; d <= distances.most; ++d)
      *value++ = -slope * static_cast<float>(std::abs(d));
  return bias;
}

std::int64_t T5Buckets::operator()(std::int64_t distance) const {
  const std::int64_t side = bidirectional ? buckets / 2 : buckets, exact = side / 2;
  if (side < 2 || (bidirectional && buckets % 2 != 0) || max_distance <= exact)
    throw Error(Error::Kind::model, "relative position buckets",
                std::to_string(buckets) + " buckets up to distance " + std::to_string(max_distance) +
                    (bidirectional ? " on both sides" : "") + " leave no room",
                "take an even number of at least 4 and a distance above half of a side's");
  const std::int64_t first = bidirectional && distance < 0 ? side : 0;
  const std::int64_t away = bidirectional ? std::abs(distance) : std::max<std::int64_t>(distance, 0);
  if (away < exact) return first + away;
  // In floats, as those who trained with it: a border may fall on either side of its distance.
  const float from_exact = std::log(static_cast<float>(away) / static_cast<float>(exact));
  const auto range =
      static_cast<float>(std::log(static_cast<double>(max_distance) / static_cast<double>(exact)));
  const auto further = static_cast<std::int64_t>(from_exact / range * static_cast<float>(side - exact));
  return first + std::min(exact + further, side - 1);
}

DistanceBias expand_buckets(const ops::Context& ctx, const Tensor& table, const Distances& distances,
                            const std::function<std::int64_t(std::int64_t)>& bucket) {
  expect_shape(table, {-1, -1}, "relative bias: table [K, H]");
  const std::int64_t K = table.dim(0), H = table.dim(1), count = distances.count();
  std::vector<std::int64_t> row(static_cast<std::size_t>(count));
  for (std::int64_t d = 0; d < count; ++d) {
    const std::int64_t k = row[static_cast<std::size_t>(d)] = bucket(distances.least + d);
    if (k < 0 || k >= K)
      throw Error(Error::Kind::bug, "relative bias",
                  "distance " + std::to_string(distances.least + d) + " falls into bucket " +
                      std::to_string(k) + " of K = " + std::to_string(K));
  }
  Tensor values = Tensor::empty({H, count});
  for (std::int64_t h = 0; h < H; ++h)
    for (std::int64_t d = 0; d < count; ++d)
      values.f32()[h * count + d] = table.f32()[row[static_cast<std::size_t>(d)] * H + h];
  if (!ctx.records({&table})) return {values, distances};
  ops::require_grad(values);
  ctx.tape->record([table, values, row, H, count] {
    const Tensor d_values = ops::arrived_gradient(values);
    if (!d_values.defined()) return;
    const auto d_table = ops::gradient_target(table);
    if (!d_table.accumulate) std::fill_n(d_table.data, table.elements(), 0.0f);
    for (std::int64_t h = 0; h < H; ++h)
      for (std::int64_t d = 0; d < count; ++d)
        d_table.data[row[static_cast<std::size_t>(d)] * H + h] += d_values.f32()[h * count + d];
  });
  return {values, distances};
}

T5Bias::T5Bias(nn::Builder& builder, const std::string& name, std::int64_t heads, const T5Buckets& buckets)
    : buckets_(buckets) {
  expect_heads(heads, "relative bias");
  buckets_(0);  // throws if they do not fit
  table_ = builder.parameters().add(name + ".weight", {buckets.buckets, heads}, nn::Initial::zeros());
}

ClippedBias::ClippedBias(nn::Builder& builder, const std::string& name, std::int64_t heads, std::int64_t clip)
    : clip_(clip) {
  expect_heads(heads, "relative bias");
  if (clip < 0) throw Error(Error::Kind::model, "relative bias", "clip at distance " + std::to_string(clip));
  table_ = builder.parameters().add(name + ".weight", {2 * clip + 1, heads}, nn::Initial::zeros());
}

DistanceBias ClippedBias::operator()(const ops::Context& ctx, const Distances& distances) const {
  return expand_buckets(ctx, table_->value, distances,
                        [this](std::int64_t d) { return clip_ + std::clamp(d, -clip_, clip_); });
}

}  // namespace fovea::attention
