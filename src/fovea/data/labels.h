#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fovea::data {

/// The classes there are: a name each, numbered from 0.
class Labels {
 public:
  explicit Labels(std::vector<std::string> names);
  /// The different ones among `labels`, in the order of numbers if all are whole numbers, else of their
  /// bytes. Throws Error(data) naming `where` if there are fewer than two, or more than 10,000.
  static Labels among(std::span<const std::string> labels, std::string_view where);

  std::int64_t size() const { return std::ssize(names_); }
  const std::vector<std::string>& names() const { return names_; }
  const std::string& name(std::int64_t i) const { return names_.at(static_cast<std::size_t>(i)); }
  /// The class of that name; or, where no name is a number, the class of that number.
  std::optional<std::int32_t> find(std::string_view label) const;
  /// The same; throws Error(data) naming `where`, the label and those there are if there is none.
  std::int32_t at(std::string_view label, std::string_view where) const;

 private:
  std::vector<std::string> names_;
  std::map<std::string, std::int32_t, std::less<>> numbers_;
  bool numeric_ = false;  // a name is a number
};

}  // namespace fovea::data
