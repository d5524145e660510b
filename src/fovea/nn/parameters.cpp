#include "fovea/nn/parameters.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "fovea/base/bfloat16.h"
#include "fovea/base/error.h"
#include "fovea/base/random.h"

namespace fovea::nn {
namespace {

// Parameters begin at multiples of a cache line.
std::int64_t padded(std::int64_t elements) { return (elements + 15) / 16 * 16; }

// Orthogonal matrices [width, width] by Kac's walk: rotations of random pairs of rows by random angles, from
// the identity on. It has mixed after about width log(width) / 2 of them.
void fill_orthogonal(std::int64_t width, const RandomKey& key, std::span<float> values) {
  const std::int64_t size = width * width;
  std::uint64_t drawn = 0;
  std::vector<std::int64_t> order(static_cast<std::size_t>(width));
  for (std::int64_t at = 0; size > 0 && at + size <= static_cast<std::int64_t>(values.size()); at += size) {
    float* matrix = values.data() + at;
    std::fill_n(matrix, size, 0.0f);
    for (std::int64_t i = 0; i < width; ++i) matrix[i * width + i] = 1.0f;
    std::iota(order.begin(), order.end(), 0);
    const int rounds = 2 * static_cast<int>(std::ceil(std::log2(static_cast<double>(width)))) + 2;
    for (int round = 0; round < rounds; ++round) {
      for (std::size_t i = order.size(); i > 1; --i)
        std::swap(order[i - 1], order[below(key, drawn++, static_cast<std::uint32_t>(i))]);
      for (std::size_t i = 0; i + 1 < order.size(); i += 2) {
        const double angle = 6.283185307179586 * uniform(key, drawn++);
        const auto cosine = static_cast<float>(std::cos(angle)), sine = static_cast<float>(std::sin(angle));
        float *a = matrix + order[i] * width, *b = matrix + order[i + 1] * width;
        for (std::int64_t j = 0; j < width; ++j) {
          const float x = a[j], y = b[j];
          a[j] = cosine * x - sine * y;
          b[j] = sine * x + cosine * y;
        }
      }
    }
  }
}

void fill(const Initial& initial, const Shape& shape, const RandomKey& key, std::span<float> values) {
  if (initial.kind == Initial::Kind::orthogonal) {
    if (shape.rank() != 2 || (shape[1] > 0 && shape[0] % shape[1] != 0))
      throw Error(Error::Kind::bug, "parameters",
                  shape.text() + " is not made of square blocks, to be orthogonal");
    return fill_orthogonal(shape[1], key, values);
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    switch (initial.kind) {
      case Initial::Kind::zeros:
        values[i] = 0.0f;
        break;
      case Initial::Kind::ones:
        values[i] = 1.0f;
        break;
      case Initial::Kind::normal:
        values[i] = initial.scale * normal(key, i);
        break;
      case Initial::Kind::uniform:
        values[i] = initial.scale * (2.0f * uniform(key, i) - 1.0f);
        break;
      case Initial::Kind::values:
        values[i] = initial.values.at(i);
        break;
      case Initial::Kind::orthogonal:
        break;  // above
    }
  }
}

}  // namespace

Initial Initial::xavier(std::int64_t in, std::int64_t out, float gain) {
  return {Kind::uniform, gain * std::sqrt(6.0f / static_cast<float>(in + out)), {}};
}

Tensor widened(const StoredRows& stored) {
  const Tensor& rows = stored.rows;
  if (rows.dtype() == DType::f32) return rows;
  Tensor wide = Tensor::empty(rows.shape());
  float* to = wide.f32();
  if (rows.dtype() == DType::bf16) {
    const auto* from = reinterpret_cast<const bfloat16*>(rows.raw());
    std::transform(from, from + rows.elements(), to, [](bfloat16 x) { return static_cast<float>(x); });
    return wide;
  }
  if (rows.dtype() != DType::i8 || !stored.scales.defined())
    throw Error(Error::Kind::bug, "parameters", "stored rows are f32, bf16, or i8 with scales");
  const auto* from = reinterpret_cast<const std::int8_t*>(rows.raw());
  const std::int64_t N = rows.dim(0), K = rows.elements() / std::max<std::int64_t>(N, 1);
  for (std::int64_t n = 0; n < N; ++n)
    for (std::int64_t k = 0; k < K; ++k) *to++ = stored.scales.f32()[n] * static_cast<float>(*from++);
  return wide;
}

Parameter* Parameters::add(std::string name, Shape shape, Initial initial) {
  parameters_.push_back({.name = std::move(name), .shape = shape, .initial = std::move(initial)});
  return &parameters_.back();
}

Parameter* Parameters::add_packed(std::vector<NamedRows> parts, Shape shape, Initial initial) {
  std::int64_t rows = 0;
  for (const auto& part : parts) rows += part.rows;
  if (rows != shape[0])
    throw Error(Error::Kind::bug, parts.front().name, "parts do not cover " + shape.text());
  parameters_.push_back(
      {.name = "", .shape = shape, .initial = std::move(initial), .parts = std::move(parts)});
  return &parameters_.back();
}

void Parameters::allocate(std::uint64_t seed) {
  std::int64_t total = 0;
  for (const auto& parameter : parameters_) total += padded(parameter.shape.elements());
  values_ = Tensor::zeros({total});
  std::int64_t offset = 0;
  std::uint64_t number = 0;
  for (auto& parameter : parameters_) {
    parameter.value = values_.slice(offset, parameter.shape);
    // The number of the parameter takes the update's place in the counter: one site serves all.
    fill(parameter.initial, parameter.shape,
         RandomKey::of(seed, static_cast<std::uint32_t>(number++), site::initialise),
         parameter.value.values());
    offset += padded(parameter.shape.elements());
  }
}

namespace {

std::int64_t packed_bytes(const kernels::Execution& exec, DType dtype, const Parameter& parameter) {
  return static_cast<std::int64_t>(
      kernels::packed_linear_bytes(exec, dtype, parameter.shape[0], parameter.shape[1]));
}

kernels::LinearRows rows_of(const Parameter& parameter, const StoredRows& stored) {
  return {.dtype = stored.rows.dtype(),
          .data = stored.rows.raw(),
          .N = parameter.shape[0],
          .K = parameter.shape[1],
          .scales = stored.scales.defined() ? stored.scales.f32() : nullptr};
}

}  // namespace

void Parameters::load(const kernels::Execution& exec, DType dtype,
                      const std::function<StoredRows(const Parameter&)>& read) {
  if (values_.defined())
    throw Error(Error::Kind::bug, "parameters", "weights that were allocated cannot be loaded packed");
  std::int64_t total = 0;
  for (const auto& parameter : parameters_)
    if (parameter.packs(dtype)) total += packed_bytes(exec, dtype, parameter);
  packed_ = {Tensor::empty({total}, DType::i8)};  // one piece: large pages serve all of it
  std::byte* memory = packed_.front().raw();
  for (auto& parameter : parameters_) {
    const StoredRows stored = read(parameter);
    if (parameter.packs(dtype)) {
      parameter.packed = kernels::pack_linear(exec, dtype, rows_of(parameter, stored), memory);
      memory += packed_bytes(exec, dtype, parameter);
    }
    if (parameter.keeps_values(dtype)) parameter.value = widened(stored).reshape(parameter.shape);
  }
}

void Parameters::bind(const kernels::Execution& exec, DType dtype,
                      const std::function<PackedForm(const Parameter&)>& form) {
  if (values_.defined())
    throw Error(Error::Kind::bug, "parameters", "weights that were allocated cannot be bound to others");
  for (auto& parameter : parameters_) {
    PackedForm given = form(parameter);
    if (parameter.keeps_values(dtype)) parameter.value = given.value.reshape(parameter.shape);
    if (!parameter.packs(dtype)) continue;
    expect_shape(given.packed, {packed_bytes(exec, dtype, parameter)}, "parameters");
    parameter.packed =
        kernels::packed_linear(exec, dtype, parameter.shape[0], parameter.shape[1], given.packed.raw());
    packed_.push_back(std::move(given.packed));
  }
}

void Parameters::hold(const std::function<StoredRows(const Parameter&)>& read) {
  if (values_.defined())
    throw Error(Error::Kind::bug, "parameters", "weights that were allocated cannot be held apart");
  for (auto& parameter : parameters_)
    if (const StoredRows stored = read(parameter); stored.rows.defined())
      parameter.value = widened(stored).reshape(parameter.shape);
}

void Parameters::allocate_gradients() {
  if (!values_.defined())
    throw Error(Error::Kind::bug, "parameters", "weights that were loaded or are held cannot be trained");
  gradients_ = Tensor::zeros(values_.shape());
  std::int64_t offset = 0;
  for (auto& parameter : parameters_) {
    auto slot = std::make_shared<GradientSlot>();
    slot->gradient = gradients_.slice(offset, parameter.shape);
    slot->written = true;
    parameter.value.set_gradient_slot(std::move(slot));
    offset += padded(parameter.shape.elements());
  }
}

void Parameters::zero_gradients() { std::memset(gradients_.raw(), 0, gradients_.bytes()); }

std::int64_t Parameters::count() const {
  std::int64_t count = 0;
  for (const auto& parameter : parameters_) count += parameter.shape.elements();
  return count;
}

std::vector<Parameters::View> Parameters::views() const {
  std::vector<View> views;
  for (const auto& parameter : parameters_) {
    const Tensor& value = parameter.value;
    if (parameter.parts.empty()) {
      views.push_back(
          {parameter.name, value.defined() ? value.detached() : value, parameter.shape, &parameter});
      continue;
    }
    std::int64_t row = 0;
    for (const auto& part : parameter.parts) {
      const Shape shape =
          parameter.shape.rank() == 1 ? Shape{part.rows} : Shape{part.rows, parameter.shape[1]};
      views.push_back(
          {part.name, value.defined() ? value.rows(row, row + part.rows) : value, shape, &parameter});
      row += part.rows;
    }
  }
  return views;
}

}  // namespace fovea::nn
