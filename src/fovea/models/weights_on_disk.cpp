#include "fovea/models/weights_on_disk.h"

#include <algorithm>
#include <cstdio>
#include <set>
#include <string>
#include <vector>

#include "fovea/base/error.h"

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

void expect_names(const formats::Weights& file, const nn::Parameters& parameters,
                  const std::function<bool(std::string_view)>& is_redundant) {
  std::vector<std::string> missing, unknown;
  std::set<std::string> known;
  for (const auto& view : parameters.views()) {
    known.insert(view.name);
    if (!file.has(view.name)) missing.push_back(view.name);
  }
  for (const auto& name : file.names())
    if (!known.contains(name) && !(is_redundant && is_redundant(name))) unknown.push_back(name);
  if (missing.empty() && unknown.empty()) return;
  std::string what;
  if (!missing.empty()) what = "missing tensors: " + listed(missing);
  if (!unknown.empty()) what += (what.empty() ? "" : "; ") + ("unknown tensors: " + listed(unknown));
  throw Error(Error::Kind::model, file.name(), what, remedy);
}

}  // namespace

Tensor read_tensor(const formats::Weights& file, const std::string& name, const Shape& shape) {
  const Tensor value = file.read(name);
  if (!(value.shape() == shape))
    throw Error(Error::Kind::model, file.name() + ": " + name,
                "shape is " + value.shape().text() + ", config.json says " + shape.text());
  return value;
}

void read_parameters(const formats::Weights& file, const nn::Parameters& parameters,
                     const std::function<bool(std::string_view)>& is_redundant) {
  expect_names(file, parameters, is_redundant);
  for (const auto& view : parameters.views())
    std::ranges::copy(read_tensor(file, view.name, view.value.shape()).values(), view.value.f32());
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
