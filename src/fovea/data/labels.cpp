#include "fovea/data/labels.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include "fovea/base/error.h"

namespace fovea::data {
namespace {

constexpr std::int64_t most_classes = 10000;

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t most = 20;
  std::string text;
  for (std::size_t i = 0; i < std::min(most, names.size()); ++i)
    text += (i > 0 ? ", " : "") + printable(names[i]);
  return names.size() > most ? text + " and " + std::to_string(names.size() - most) + " more" : text;
}

}  // namespace

Labels::Labels(std::vector<std::string> names) : names_(std::move(names)) {
  for (std::size_t i = 0; i < names_.size(); ++i) numbers_.emplace(names_[i], static_cast<std::int32_t>(i));
  numeric_ = std::ranges::any_of(names_, [](const auto& name) { return whole_number(name).has_value(); });
}

Labels Labels::among(std::span<const std::string> labels, std::string_view where) {
  const std::set<std::string> different(labels.begin(), labels.end());
  std::vector<std::string> names(different.begin(), different.end());
  if (names.size() < 2)
    throw Error(Error::Kind::data, where,
                names.empty() ? "has no label" : "has one class only, '" + printable(names.front()) + "'",
                "there is nothing to learn: is the label's column right?");
  if (std::ssize(names) > most_classes)
    throw Error(Error::Kind::data, where, "has " + std::to_string(names.size()) + " different labels",
                "is the label's column right?");
  if (std::ranges::all_of(names, [](const auto& name) { return whole_number(name).has_value(); }))
    std::ranges::stable_sort(names, {}, [](const auto& name) { return *whole_number(name); });
  return Labels(std::move(names));
}

std::optional<std::int32_t> Labels::find(std::string_view label) const {
  if (const auto found = numbers_.find(label); found != numbers_.end()) return found->second;
  const auto number = numeric_ ? std::nullopt : whole_number(label);
  if (!number || *number < 0 || *number >= size()) return std::nullopt;
  return static_cast<std::int32_t>(*number);
}

std::int32_t Labels::at(std::string_view label, std::string_view where) const {
  if (const auto found = find(label)) return *found;
  throw Error(Error::Kind::data, where, "has the label '" + printable(label) + "', which no class has",
              "the classes are " + listed(names_));
}

}  // namespace fovea::data
