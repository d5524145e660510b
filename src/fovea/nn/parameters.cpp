#include "fovea/nn/parameters.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "fovea/base/error.h"
#include "fovea/base/random.h"

namespace fovea::nn {
namespace {

// Parameters begin at multiples of a cache line.
std::int64_t padded(std::int64_t elements) { return (elements + 15) / 16 * 16; }

void fill(const Initial& initial, const RandomKey& key, std::span<float> values) {
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
    }
  }
}

}  // namespace

Initial Initial::xavier(std::int64_t in, std::int64_t out, float gain) {
  return {Kind::uniform, gain * std::sqrt(6.0f / static_cast<float>(in + out)), {}};
}

Parameter* Parameters::add(std::string name, Shape shape, Initial initial) {
  parameters_.push_back({std::move(name), shape, std::move(initial), {}, {}});
  return &parameters_.back();
}

Parameter* Parameters::add_packed(std::vector<NamedRows> parts, Shape shape, Initial initial) {
  std::int64_t rows = 0;
  for (const auto& part : parts) rows += part.rows;
  if (rows != shape[0])
    throw Error(Error::Kind::bug, parts.front().name, "parts do not cover " + shape.text());
  parameters_.push_back({"", shape, std::move(initial), std::move(parts), {}});
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
    fill(parameter.initial, RandomKey::of(seed, static_cast<std::uint32_t>(number++), site::initialise),
         parameter.value.values());
    offset += padded(parameter.shape.elements());
  }
}

void Parameters::allocate_gradients() {
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
    if (parameter.parts.empty()) {
      views.push_back({parameter.name, parameter.value.detached()});
      continue;
    }
    std::int64_t row = 0;
    for (const auto& part : parameter.parts) {
      views.push_back({part.name, parameter.value.rows(row, row + part.rows)});
      row += part.rows;
    }
  }
  return views;
}

}  // namespace fovea::nn
