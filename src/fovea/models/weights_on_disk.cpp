#include "fovea/models/weights_on_disk.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/kernels/quantise_row.h"
#include "fovea/models/packed_weights.h"

namespace fovea::models {
namespace {

constexpr auto remedy = "does config.json belong to these weights?";

std::string rounded(double count) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", count);
  return text;
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(names.size(), 10); ++i)
    text += (i ? ", " : "") + printable(names[i]);
  if (names.size() > 10) text += " and " + std::to_string(names.size() - 10) + " more";
  return text;
}

std::string scale_name(const std::string& name) { return name + "_scale"; }

bool is_quantised(const formats::Weights& file, const std::string& name) {
  return file.has(name) && file.info(name).type == formats::StoredType::i8;
}

void expect_names(const formats::Weights& file, const nn::Parameters& parameters, const FileNames& names) {
  std::vector<std::string> missing, unknown;
  std::set<std::string> known;
  const auto expect = [&](const std::string& name) {
    known.insert(name);
    if (!file.has(name)) missing.push_back(name);
  };
  for (const auto& view : parameters.views()) {
    const std::string name = names.of(view.name);
    if (names.begins_anew && names.begins_anew(view.name)) {
      known.insert(name);
      continue;
    }
    expect(name);
    if (is_quantised(file, name)) expect(scale_name(name));
  }
  for (const auto& name : file.names())
    // The base of an adapter may have a head that is not that of the adapted model.
    if (!known.contains(name) && !file.is_of_base(name) && !(names.is_redundant && names.is_redundant(name)))
      unknown.push_back(name);
  if (missing.empty() && unknown.empty()) return;
  std::string what;
  if (!missing.empty()) what = "missing tensors: " + listed(missing);
  if (!unknown.empty()) what += (what.empty() ? "" : "; ") + ("unknown tensors: " + listed(unknown));
  throw Error(Error::Kind::model, file.name(), what, remedy);
}

// Scales [N] of N rows of integers.
Tensor read_scales(const formats::Weights& file, const std::string& name, std::int64_t rows) {
  const Tensor scales = file.read(name);
  if (scales.elements() != rows)
    throw Error(Error::Kind::model, file.name() + ": " + name,
                "has " + std::to_string(scales.elements()) + " scales for " + std::to_string(rows) + " rows");
  for (std::int64_t n = 0; n < rows; ++n)
    if (const float scale = scales.f32()[n]; !(scale > 0.0f && std::isfinite(scale)))
      throw Error(Error::Kind::model, file.name() + ": " + name,
                  "the scale of row " + std::to_string(n) + " is " + rounded(scale) +
                      "; scales are above 0 and finite");
  return scales;
}

// A matrix [K, N] as [N, K].
Tensor transposed(const Tensor& matrix) {
  const std::int64_t K = matrix.dim(0), N = matrix.dim(1);
  const auto width = static_cast<std::int64_t>(matrix.bytes()) / std::max<std::int64_t>(matrix.elements(), 1);
  Tensor out = Tensor::empty({N, K}, matrix.dtype());
  for (std::int64_t n = 0; n < N; ++n)
    for (std::int64_t k = 0; k < K; ++k)
      std::copy_n(matrix.raw() + (k * N + n) * width, width, out.raw() + (n * K + k) * width);
  return out;
}

// A matrix, as it stands in the file, or exchanged if that has the inputs first.
nn::StoredRows read_stored(const formats::Weights& file, const std::string& name, const Shape& shape,
                           bool input_first = false) {
  const bool quantised = is_quantised(file, name);
  if (input_first && !quantised) {
    const Shape stored_shape{shape[1], shape[0]};
    return {transposed(read_stored(file, name, stored_shape).rows), {}};
  }
  const bool narrow = quantised || file.info(name).type == formats::StoredType::bf16;
  nn::StoredRows stored{narrow ? file.read_stored(name) : file.read(name), {}};
  if (!(stored.rows.shape() == shape))
    throw Error(Error::Kind::model, file.name() + ": " + name,
                "shape is " + stored.rows.shape().text() + ", config.json says " + shape.text());
  if (quantised) stored.scales = read_scales(file, scale_name(name), shape[0]);
  return stored;
}

bool is_finite(const nn::StoredRows& stored) {
  if (stored.rows.dtype() == DType::i8) return true;  // its scales are
  const Tensor values = nn::widened(stored);
  return std::ranges::all_of(values.values(), [](float w) { return std::isfinite(w); });
}

// The parts of a parameter below each other; of one type if they are stored as one, else f32.
nn::StoredRows joined(std::vector<nn::StoredRows> parts, const Shape& shape) {
  if (parts.size() == 1) return std::move(parts.front());
  const DType dtype = parts.front().rows.dtype();
  const bool alike = std::ranges::all_of(parts, [&](const auto& part) { return part.rows.dtype() == dtype; });
  if (!alike)
    for (auto& part : parts) part = {nn::widened(part), {}};
  nn::StoredRows whole{Tensor::empty(shape, alike ? dtype : DType::f32), {}};
  std::byte* to = whole.rows.raw();
  for (const auto& part : parts) to = std::copy_n(part.rows.raw(), part.rows.bytes(), to);
  if (!alike || dtype != DType::i8) return whole;
  whole.scales = Tensor::empty({shape[0]});
  float* scale = whole.scales.f32();
  for (const auto& part : parts) scale = std::copy_n(part.scales.f32(), part.scales.elements(), scale);
  return whole;
}

void add_quantised(formats::SafetensorsWriter& file, const std::string& name, const Tensor& values) {
  const std::int64_t N = values.dim(0), K = values.dim(1);
  const Tensor integers = Tensor::empty({N, K}, DType::i8), scales = Tensor::empty({N});
  for (std::int64_t n = 0; n < N; ++n) {
    auto* to = reinterpret_cast<std::int8_t*>(integers.raw()) + n * K;
    const float scale = kernels::quantise_row(values.f32() + n * K, K, to).scale;
    scales.f32()[n] = scale == 0.0f ? 1.0f : scale;  // a row of zeros
  }
  file.add(name, integers);
  file.add(scale_name(name), scales);
}

// All parameters whole, of parts or not; those that begin anew without rows.
std::vector<std::string> read_whole(const formats::Weights& file, nn::Parameters& parameters,
                                    const Packing* packing, const FileNames& names) {
  std::map<const nn::Parameter*, std::vector<nn::Parameters::View>> parts;
  for (auto& view : parameters.views()) parts[view.parameter].push_back(view);
  std::vector<std::string> non_finite;
  const auto read = [&](const nn::Parameter& parameter) {
    std::vector<nn::StoredRows> stored;
    for (const auto& part : parts.at(&parameter)) {
      if (names.begins_anew && names.begins_anew(part.name)) return nn::StoredRows{};
      stored.push_back(read_stored(file, names.of(part.name), part.shape, parameter.input_first));
      if (!is_finite(stored.back())) non_finite.push_back(part.name);
    }
    return joined(std::move(stored), parameter.shape);
  };
  if (packing)
    parameters.load(packing->exec, packing->dtype, read);
  else
    parameters.hold(read);
  return non_finite;
}

}  // namespace

std::string FileNames::of(const std::string& parameter) const {
  std::string name = parameter.starts_with(left_out) ? parameter.substr(left_out.size()) : parameter;
  return spelled ? spelled(std::move(name)) : name;
}

Tensor read_tensor(const formats::Weights& file, const std::string& name, const Shape& shape) {
  return nn::widened(read_stored(file, name, shape));
}

std::vector<std::string> read_parameters(const formats::Weights& file, nn::Parameters& parameters,
                                         const Packing* packing, const FileNames& names) {
  expect_names(file, parameters, names);
  if (packing && bind_packed(file, *packing, parameters)) return {};
  if (packing || !parameters.values().defined()) return read_whole(file, parameters, packing, names);
  for (const auto& view : parameters.views()) {
    if (names.begins_anew && names.begins_anew(view.name)) continue;
    const auto stored = read_stored(file, names.of(view.name), view.shape, view.parameter->input_first);
    std::ranges::copy(nn::widened(stored).values(), view.value.f32());
  }
  return {};
}

void add_parameters(formats::SafetensorsWriter& file, const nn::Parameters& parameters, DType dtype) {
  for (const auto& view : parameters.views()) {
    if (dtype == DType::i8 && view.parameter->packs(dtype))
      add_quantised(file, view.name, view.value);
    else
      file.add(view.name, view.parameter->input_first ? transposed(view.value) : view.value,
               dtype == DType::i8 ? DType::f32 : dtype);
  }
}

DType stored_as(const formats::Weights& file) {
  bool any_bf16 = false;
  for (const auto& name : file.names()) {
    if (is_quantised(file, name)) return DType::i8;
    any_bf16 = any_bf16 || file.info(name).type == formats::StoredType::bf16;
  }
  return any_bf16 ? DType::bf16 : DType::f32;
}

void expect_size(const formats::Weights& file, double parameters) {
  constexpr double slack = 1 << 24;  // so that a tensor that is missing is named as such
  double stored = 0;
  for (const auto& name : file.names()) stored += static_cast<double>(file.info(name).elements());
  if (parameters > 2 * stored + slack)
    throw Error(Error::Kind::model, file.name(),
                "config.json describes a model of " + rounded(parameters) + " parameters, the weights have " +
                    rounded(stored),
                remedy);
}

}  // namespace fovea::models
