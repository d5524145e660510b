#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fovea/text/jinja/value.h"

/// What templates find ready-made: filters, tests, and the methods of Python's values.
namespace fovea::text::jinja {

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;

  /// The argument at `place`, or of that name; null if it is not given.
  const Value* find(std::size_t place, std::string_view name) const;
  /// Throws Fault if it is not given.
  const Value& at(std::size_t place, std::string_view name) const;
  std::string text_or(std::size_t place, std::string_view name, std::string_view otherwise) const;
  std::int64_t whole_or(std::size_t place, std::string_view name, std::int64_t otherwise) const;
  bool truth_or(std::size_t place, std::string_view name, bool otherwise) const;
};

/// value|name(arguments). Throws Fault for a filter that is not there, or that cannot take the value.
Value apply_filter(std::string_view name, const Value& value, const Arguments& arguments, Budget& budget);
/// value is name(arguments), likewise.
bool apply_test(std::string_view name, const Value& value, const Arguments& arguments, Budget& budget);
bool is_filter(std::string_view name);
bool is_test(std::string_view name);

bool has_method(const Value& self, std::string_view name);
/// self.name(arguments). Throws Fault for a method that is not there, or that would change the value.
Value call_method(const Value& self, std::string_view name, const Arguments& arguments, Budget& budget);

/// value.name and value[key] as Jinja looks them up: undefined if there is nothing. Throw Fault if `value` is
/// undefined.
Value attribute_of(const Value& value, std::string_view name);
Value item_of(const Value& value, const Value& key, Budget& budget);

/// Cases as Python has them: full mappings of Unicode, no language's own rules.
std::string upper_case(std::string_view text);
std::string lower_case(std::string_view text);
/// The first character in upper case, the rest in lower case.
std::string capitalised(std::string_view text);

/// What str % values writes: %s, %d, %r, %f with a width and precision, and %%.
std::string formatted(std::string_view format, const std::vector<Value>& values, Budget& budget);
/// `text` with each `from` made `to`, at most `count` times if that is not below 0.
std::string replaced(std::string_view text, std::string_view from, std::string_view to, std::int64_t count,
                     Budget& budget);

}  // namespace fovea::text::jinja
