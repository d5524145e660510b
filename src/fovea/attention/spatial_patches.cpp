#include "fovea/attention/spatial_patches.h"

#include <algorithm>
#include <array>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/ops/elementwise.h"

namespace fovea::attention {
namespace {

PatchShape checked(const std::string& name, const PatchShape& shape) {
  if (shape.channels >= 1 && shape.patch >= 1 && shape.width >= 1 && shape.grid_height >= 1 &&
      shape.grid_width >= 1)
    return shape;
  throw Error(Error::Kind::model, name,
              "patches of " + std::to_string(shape.patch) +
                  " pixels and C = " + std::to_string(shape.channels) +
                  " channels to D = " + std::to_string(shape.width) + " on a grid of " +
                  std::to_string(shape.grid_height) + " x " + std::to_string(shape.grid_width));
}

/// A row as a weighted sum of rows of a table.
struct Blend {
  std::array<std::int64_t, 4> row;
  std::array<float, 4> weight;
};

/// Where step i of `count` falls among `old` points, ends on ends: the point before it and how far beyond.
std::pair<std::int64_t, float> between(std::int64_t i, std::int64_t count, std::int64_t old) {
  if (count == 1 || old == 1) return {0, 0.0f};
  const double at = static_cast<double>(i) * static_cast<double>(old - 1) / static_cast<double>(count - 1);
  const auto point = std::min(static_cast<std::int64_t>(at), old - 2);
  return {point, static_cast<float>(at - static_cast<double>(point))};
}

std::vector<Blend> blends(std::int64_t fixed, std::int64_t height, std::int64_t width,
                          std::int64_t new_height, std::int64_t new_width) {
  std::vector<Blend> all;
  for (std::int64_t k = 0; k < fixed; ++k) all.push_back({{k, k, k, k}, {1.0f, 0.0f, 0.0f, 0.0f}});
  for (std::int64_t i = 0; i < new_height; ++i) {
    const auto [y, down] = between(i, new_height, height);
    for (std::int64_t j = 0; j < new_width; ++j) {
      const auto [x, right] = between(j, new_width, width);
      const auto row = [&, y = y, x = x](std::int64_t dy, std::int64_t dx) {
        return fixed + std::min(y + dy, height - 1) * width + std::min(x + dx, width - 1);
      };
      all.push_back({{row(0, 0), row(0, 1), row(1, 0), row(1, 1)},
                     {(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right}});
    }
  }
  return all;
}

/// [class; rows of image n] for every image: rows [N*P, D] -> [N*(1+P), D].
Tensor prepend(const ops::Context& ctx, const Tensor& first, const Tensor& rows, std::int64_t N) {
  const std::int64_t D = first.elements(), P = N ? rows.dim(0) / N : 0;
  Tensor y = Tensor::empty({N * (1 + P), D});
  for (std::int64_t n = 0; n < N; ++n) {
    float* to = y.f32() + n * (1 + P) * D;
    std::copy_n(first.f32(), D, to);
    std::copy_n(rows.f32() + n * P * D, P * D, to + D);
  }
  if (!ctx.records({&first, &rows})) return y;
  ops::require_grad(y);
  ctx.tape->record([first, rows, y, N, P, D] {
    const Tensor d_y = ops::arrived_gradient(y);
    if (!d_y.defined()) return;
    Tensor d_first = Tensor::zeros(first.shape()), d_rows = Tensor::empty(rows.shape());
    for (std::int64_t n = 0; n < N; ++n) {
      const float* from = d_y.f32() + n * (1 + P) * D;
      for (std::int64_t d = 0; d < D; ++d) d_first.f32()[d] += from[d];
      std::copy_n(from + D, P * D, d_rows.f32() + n * P * D);
    }
    ops::give_gradient(first, d_first);
    ops::give_gradient(rows, d_rows);
  });
  return y;
}

std::shared_ptr<const ops::Sequences> equal_sequences(std::int64_t N, std::int64_t count) {
  auto sequences = std::make_shared<ops::Sequences>();
  for (std::int64_t n = 0; n < N; ++n) {
    sequences->start.push_back(n * count);
    sequences->count.push_back(count);
  }
  return sequences;
}

}  // namespace

Tensor resample_positions(const ops::Context& ctx, const Tensor& positions, std::int64_t fixed,
                          std::int64_t height, std::int64_t width, std::int64_t new_height,
                          std::int64_t new_width) {
  expect_shape(positions, {fixed + height * width, -1}, "positions [class + grid, D]");
  if (height == new_height && width == new_width) return positions;
  const auto table = blends(fixed, height, width, new_height, new_width);
  const std::int64_t D = positions.dim(1);
  Tensor y = Tensor::zeros({static_cast<std::int64_t>(table.size()), D});
  for (std::size_t r = 0; r < table.size(); ++r)
    for (std::size_t k = 0; k < 4; ++k)
      for (std::int64_t d = 0; d < D; ++d)
        y.f32()[static_cast<std::int64_t>(r) * D + d] +=
            table[r].weight[k] * positions.f32()[table[r].row[k] * D + d];
  if (!ctx.records({&positions})) return y;
  ops::require_grad(y);
  ctx.tape->record([positions, y, table, D] {
    const Tensor d_y = ops::arrived_gradient(y);
    if (!d_y.defined()) return;
    Tensor d_positions = Tensor::zeros(positions.shape());
    for (std::size_t r = 0; r < table.size(); ++r)
      for (std::size_t k = 0; k < 4; ++k)
        for (std::int64_t d = 0; d < D; ++d)
          d_positions.f32()[table[r].row[k] * D + d] +=
              table[r].weight[k] * d_y.f32()[static_cast<std::int64_t>(r) * D + d];
    ops::give_gradient(positions, d_positions);
  });
  return y;
}

PatchEmbedding::PatchEmbedding(nn::Builder& builder, const std::string& name, const PatchShape& shape)
    : shape_(checked(name, shape)),
      projection_(builder, name + ".projection",
                  {.in = shape.channels,
                   .out = shape.width,
                   .kernel = shape.patch,
                   .options = {.stride = shape.patch}}) {
  if (shape.class_token)
    class_token_ = builder.parameters().add(name + ".class_token", {shape.width}, nn::Initial::normal(0.02f));
  const std::int64_t rows = shape.grid_height * shape.grid_width + (shape.class_token ? 1 : 0);
  positions_ = builder.parameters().add(name + ".positions", {rows, shape.width}, nn::Initial::normal(0.02f));
}

PatchRows PatchEmbedding::operator()(const ops::Context& ctx, const Tensor& x) const {
  expect_shape(x, {-1, -1, -1, shape_.channels}, "patches: x [N, H, W, C]");
  const std::int64_t p = shape_.patch, D = shape_.width;
  if (x.dim(1) < p || x.dim(2) < p || x.dim(1) % p != 0 || x.dim(2) % p != 0)
    throw Error(Error::Kind::data, "patches",
                "images of H = " + std::to_string(x.dim(1)) + " and W = " + std::to_string(x.dim(2)) +
                    " pixels do not divide into patches of " + std::to_string(p),
                "scale or crop them to a multiple");
  const std::int64_t N = x.dim(0), height = x.dim(1) / p, width = x.dim(2) / p;
  const std::int64_t fixed = class_token_ ? 1 : 0, count = fixed + height * width;
  Tensor rows = projection_(ctx, x).reshape({N * height * width, D});
  if (class_token_) rows = prepend(ctx, class_token_->value, rows, N);
  const Tensor positions =
      resample_positions(ctx, positions_->value, fixed, shape_.grid_height, shape_.grid_width, height, width);
  rows = ops::add(ctx, rows.reshape({N, count, D}), positions.reshape({1, count, D}));
  return {rows.reshape({N * count, D}), equal_sequences(N, count)};
}

}  // namespace fovea::attention
