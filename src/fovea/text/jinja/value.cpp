#include "fovea/text/jinja/value.h"

#include <algorithm>
#include <cmath>

#include "fovea/text/utf8.h"

namespace fovea::text::jinja {
namespace {

constexpr std::uint32_t deepest = 100;

std::uint32_t checked_depth(std::uint32_t depth) {
  if (depth > deepest) throw Fault("nests values more than " + std::to_string(deepest) + " deep");
  return depth;
}

// ---- order

/// -1, 0 or 1; 2 where they have no order.
int compare_numbers(const Value& a, const Value& b) {
  const bool whole = !a.real() && !b.real();
  if (whole) {
    const std::int64_t x = a.whole(""), y = b.whole("");
    return x < y ? -1 : x > y;
  }
  const double x = a.number(""), y = b.number("");
  return x < y ? -1 : x > y ? 1 : x == y ? 0 : 2;
}

bool equal_lists(const std::vector<Value>& a, const std::vector<Value>& b, Budget& budget) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](const Value& x, const Value& y) { return equal(x, y, budget); });
}

bool equal_dicts(const Value& a, const Value& b, Budget& budget) {
  if (a.members()->size() != b.members()->size()) return false;
  return std::all_of(a.members()->begin(), a.members()->end(), [&](const auto& member) {
    const Value* other = b.member(member.first);
    return other && equal(member.second, *other, budget);
  });
}

}  // namespace

Value Value::list(std::vector<Value> items, bool is_tuple) {
  std::uint32_t depth = 0;
  for (const Value& item : items) depth = std::max(depth, item.depth());
  Value out;
  out.data_ = std::make_shared<const List>(List{std::move(items), is_tuple, checked_depth(depth + 1)});
  return out;
}

Value Value::dict(std::vector<std::pair<std::string, Value>> items) {
  Dict dict{{}, {}, 0};
  dict.items.reserve(items.size());  // views of the keys stay where they are
  for (auto& [key, value] : items) {
    dict.depth = std::max(dict.depth, value.depth());
    if (const auto known = dict.places.find(key); known != dict.places.end()) {
      dict.items[known->second].second = std::move(value);
    } else {
      dict.items.emplace_back(std::move(key), std::move(value));
      dict.places.emplace(dict.items.back().first, dict.items.size() - 1);
    }
  }
  dict.depth = checked_depth(dict.depth + 1);
  Value out;
  out.data_ = std::make_shared<const Dict>(std::move(dict));
  return out;
}

Value Value::method(Value self, std::string_view name) {
  checked_depth(self.depth() + 1);
  Value out;
  out.data_ = std::make_shared<const Method>(Method{std::move(self), std::string(name)});
  return out;
}

Value Value::from_json(const formats::Json& json) {
  using Type = formats::Json::Type;
  switch (json.type()) {
    case Type::null:
      return None{};
    case Type::boolean:
      return json.boolean();
    case Type::negative:
      return json.integer();
    case Type::natural:
    case Type::real: {
      const double number = json.number();
      if (json.type() == Type::natural && number < 9e18) return json.integer();
      return number;
    }
    case Type::text:
      return json.text();
    case Type::array: {
      std::vector<Value> items;
      for (const auto& item : json.elements()) items.push_back(from_json(item));
      return list(std::move(items));
    }
    case Type::object:
      break;
  }
  std::vector<std::pair<std::string, Value>> items;
  for (const auto& [key, value] : json.members()) items.emplace_back(std::string(key), from_json(value));
  return dict(std::move(items));
}

const std::vector<Value>* Value::items() const {
  const List* list = pointed<const List>();
  return list ? &list->items : nullptr;
}

const std::vector<std::pair<std::string, Value>>* Value::members() const {
  const Dict* dict = pointed<const Dict>();
  return dict ? &dict->items : nullptr;
}

bool Value::is_tuple() const {
  const List* list = pointed<const List>();
  return list && list->is_tuple;
}

const Value* Value::member(std::string_view key) const {
  const Dict* dict = pointed<const Dict>();
  if (!dict) return nullptr;
  const auto found = dict->places.find(key);
  return found == dict->places.end() ? nullptr : &dict->items[found->second].second;
}

bool Value::truth() const {
  if (is_undefined() || is_none()) return false;
  if (const bool* truth = boolean()) return *truth;
  if (const auto* number = integer()) return *number != 0;
  if (const double* number = real()) return *number != 0;
  if (const std::string* string = text()) return !string->empty();
  if (const auto* list = items()) return !list->empty();
  if (const auto* dict = members()) return !dict->empty();
  return true;
}

std::uint32_t Value::depth() const {
  if (const List* list = pointed<const List>()) return list->depth;
  if (const Dict* dict = pointed<const Dict>()) return dict->depth;
  if (const Loop* state = loop()) return state->list.depth() + 1;
  if (const Method* method = bound()) return method->self.depth() + 1;
  return 0;
}

const char* Value::type_name() const {
  static constexpr const char* names[] = {"Undefined", "NoneType", "bool",    "int",       "float",
                                          "str",       "list",     "dict",    "Namespace", "LoopContext",
                                          "method",    "Macro",    "function"};
  return is_tuple() ? "tuple" : names[data_.index()];
}

std::int64_t Value::whole(std::string_view what) const {
  if (const bool* truth = boolean()) return *truth;
  if (const auto* number = integer()) return *number;
  throw Fault(std::string(what) + " is " + type_name() + ", but a whole number was expected");
}

double Value::number(std::string_view what) const {
  if (const double* number = real()) return *number;
  return static_cast<double>(whole(what));
}

std::size_t code_points(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

bool equal(const Value& a, const Value& b, Budget& budget) {
  budget.spend(1);
  if (a.is_number() && b.is_number()) return compare_numbers(a, b) == 0;
  if (a.text() && b.text()) {
    budget.spend_text(std::min(a.text()->size(), b.text()->size()));
    return *a.text() == *b.text();
  }
  if (a.items() && b.items())
    return a.is_tuple() == b.is_tuple() && equal_lists(*a.items(), *b.items(), budget);
  if (a.members() && b.members()) return equal_dicts(a, b, budget);
  if (a.space() || b.space()) return a.space() == b.space();
  return (a.is_none() && b.is_none()) || (a.is_undefined() && b.is_undefined());
}

bool less(const Value& a, const Value& b, Budget& budget) {
  budget.spend(1);
  if (a.is_number() && b.is_number()) return compare_numbers(a, b) == -1;
  if (a.text() && b.text()) return *a.text() < *b.text();
  if (a.items() && b.items() && a.is_tuple() == b.is_tuple()) {
    const auto& x = *a.items();
    const auto& y = *b.items();
    for (std::size_t i = 0; i < std::min(x.size(), y.size()); ++i)
      if (!equal(x[i], y[i], budget)) return less(x[i], y[i], budget);
    return x.size() < y.size();
  }
  throw Fault(std::string("compares ") + a.type_name() + " with " + b.type_name());
}

bool contains(const Value& haystack, const Value& needle, Budget& budget) {
  if (const std::string* text = haystack.text()) {
    if (!needle.text()) throw Fault(std::string("looks for ") + needle.type_name() + " in a text");
    budget.spend_text(text->size());
    return text->find(*needle.text()) != std::string::npos;
  }
  if (haystack.members()) return needle.text() && haystack.member(*needle.text());
  const auto all = elements(haystack, budget);
  return std::any_of(all.begin(), all.end(), [&](const Value& item) { return equal(item, needle, budget); });
}

std::vector<Value> elements(const Value& value, Budget& budget) {
  if (value.is_undefined()) return {};
  if (const auto* items = value.items()) {
    budget.spend(items->size());
    return *items;
  }
  std::vector<Value> out;
  if (const auto* members = value.members()) {
    budget.spend(members->size());
    for (const auto& [key, _] : *members) out.emplace_back(key);
    return out;
  }
  const std::string* text = value.text();
  if (!text) throw Fault(std::string(value.type_name()) + " has no elements");
  budget.spend(text->size());
  for (std::string_view rest = *text; !rest.empty();) {
    const std::size_t length = std::min<std::size_t>(decode_utf8(rest).length, rest.size());
    out.emplace_back(rest.substr(0, length));
    rest.remove_prefix(length);
  }
  return out;
}

}  // namespace fovea::text::jinja
