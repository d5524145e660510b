#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include "fovea/text/jinja/builtins.h"
#include "fovea/text/jinja/lexer.h"
#include "fovea/text/utf8.h"

namespace fovea::text::jinja {
namespace {

using Filter = Value (*)(const Value&, const Arguments&, Budget&);

std::string text_of(const Value& value, Budget& budget) { return to_text(value, budget); }

Value length(const Value& value, const Arguments&, Budget& budget) {
  if (const std::string* text = value.text()) {
    budget.spend_text(text->size());
    return static_cast<std::int64_t>(code_points(*text));
  }
  if (const auto* items = value.items()) return static_cast<std::int64_t>(items->size());
  if (const auto* members = value.members()) return static_cast<std::int64_t>(members->size());
  if (value.is_undefined()) return std::int64_t{0};
  throw Fault(std::string(value.type_name()) + " has no length");
}

template <std::string (*change)(std::string_view)>
Value changed(const Value& value, const Arguments&, Budget& budget) {
  const std::string text = text_of(value, budget);
  budget.spend(text.size());
  return change(text);
}

/// Words in upper case at the beginning: after white space, '-', or an opening bracket.
std::string titled(std::string_view text) {
  std::string out;
  const auto begins_word = [](char32_t c) {
    return is_python_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
  };
  for (std::size_t begin = 0; begin < text.size();) {
    std::size_t end = begin;
    const bool between = begins_word(decode_utf8(text.substr(begin)).code_point);
    while (end < text.size() && begins_word(decode_utf8(text.substr(end)).code_point) == between)
      end += decode_utf8(text.substr(end)).length;
    out +=
        between ? std::string(text.substr(begin, end - begin)) : capitalised(text.substr(begin, end - begin));
    begin = end;
  }
  return out;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const std::string_view named = c == '&'    ? "&amp;"
                                   : c == '<'  ? "&lt;"
                                   : c == '>'  ? "&gt;"
                                   : c == '"'  ? "&#34;"
                                   : c == '\'' ? "&#39;"
                                               : std::string_view(&c, 1);
    out.append(named);
  }
  return out;
}

Value trim(const Value& value, const Arguments& arguments, Budget& budget) {
  Arguments chars;
  if (const Value* given = arguments.find(0, "chars")) chars.positional.push_back(*given);
  return call_method(text_of(value, budget), "strip", chars, budget);
}

Value otherwise(const Value& value, const Arguments& arguments, Budget&) {
  const bool falsy_too = arguments.truth_or(1, "boolean", false);
  if (!value.is_undefined() && (!falsy_too || value.truth())) return value;
  const Value* given = arguments.find(0, "default_value");
  return given ? *given : Value("");
}

/// What lies at "a.b.0" below a value.
Value at_path(Value value, const Value& path, Budget& budget) {
  if (!path.text()) return item_of(value, path, budget);
  std::string_view rest = *path.text();
  while (true) {
    const std::size_t end = std::min(rest.find('.'), rest.size());
    const std::string_view name = rest.substr(0, end);
    std::int64_t index = 0;
    const bool is_index =
        !name.empty() && std::from_chars(name.data(), name.data() + end, index).ptr == name.data() + end;
    value = item_of(value, is_index ? Value(index) : Value(name), budget);
    if (end == rest.size()) return value;
    rest.remove_prefix(end + 1);
  }
}

Value join(const Value& value, const Arguments& arguments, Budget& budget) {
  const std::string between = arguments.text_or(0, "d", "");
  const Value* attribute = arguments.find(1, "attribute");
  std::string out;
  bool first = true;
  for (const Value& item : elements(value, budget)) {
    if (!first) out += between;
    first = false;
    out += text_of(attribute ? at_path(item, *attribute, budget) : item, budget);
    budget.spend_text(between.size());
  }
  return out;
}

template <bool from_end>
Value end_of(const Value& value, const Arguments&, Budget& budget) {
  const auto all = elements(value, budget);
  if (all.empty()) return Value::Undefined{from_end ? "the last of nothing" : "the first of nothing"};
  return from_end ? all.back() : all.front();
}

Value reverse(const Value& value, const Arguments&, Budget& budget) {
  auto all = elements(value, budget);
  std::reverse(all.begin(), all.end());
  if (!value.text()) return Value::list(std::move(all));
  std::string out;
  for (const Value& item : all) out += *item.text();
  return out;
}

/// What a list is sorted, compared and told apart by.
Value key_of(const Value& item, const Value* attribute, bool case_sensitive, Budget& budget) {
  Value key = attribute && !attribute->is_none() ? at_path(item, *attribute, budget) : item;
  return key.text() && !case_sensitive ? Value(lower_case(*key.text())) : key;
}

/// Indices of `items` in the order of `keys`.
std::vector<std::size_t> order_of(const std::vector<Value>& keys, bool descending, Budget& budget) {
  std::vector<std::size_t> order(keys.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return descending ? less(keys[b], keys[a], budget) : less(keys[a], keys[b], budget);
  });
  return order;
}

Value sort(const Value& value, const Arguments& arguments, Budget& budget) {
  const auto all = elements(value, budget);
  std::vector<Value> keys, out;
  for (const Value& item : all)
    keys.push_back(
        key_of(item, arguments.find(2, "attribute"), arguments.truth_or(1, "case_sensitive", false), budget));
  for (const std::size_t i : order_of(keys, arguments.truth_or(0, "reverse", false), budget))
    out.push_back(all[i]);
  return Value::list(std::move(out));
}

Value dictsort(const Value& value, const Arguments& arguments, Budget& budget) {
  if (!value.members()) throw Fault(std::string("dictsort of ") + value.type_name());
  const bool by_value = arguments.text_or(1, "by", "key") == "value";
  std::vector<Value> keys, out;
  for (const auto& [key, member] : *value.members())
    keys.push_back(key_of(by_value ? member : Value(key), nullptr,
                          arguments.truth_or(0, "case_sensitive", false), budget));
  for (const std::size_t i : order_of(keys, arguments.truth_or(2, "reverse", false), budget))
    out.push_back(Value::list({Value((*value.members())[i].first), (*value.members())[i].second}, true));
  return Value::list(std::move(out));
}

Value unique(const Value& value, const Arguments& arguments, Budget& budget) {
  std::vector<Value> keys, out;
  for (const Value& item : elements(value, budget)) {
    const Value key =
        key_of(item, arguments.find(1, "attribute"), arguments.truth_or(0, "case_sensitive", false), budget);
    if (std::any_of(keys.begin(), keys.end(), [&](const Value& known) { return equal(known, key, budget); }))
      continue;
    keys.push_back(key);
    out.push_back(item);
  }
  return Value::list(std::move(out));
}

template <bool greatest>
Value extreme(const Value& value, const Arguments& arguments, Budget& budget) {
  const auto all = elements(value, budget);
  if (all.empty()) return Value::Undefined{"the extreme of nothing"};
  std::vector<Value> keys;
  for (const Value& item : all)
    keys.push_back(
        key_of(item, arguments.find(1, "attribute"), arguments.truth_or(0, "case_sensitive", false), budget));
  std::size_t best = 0;
  for (std::size_t i = 1; i < keys.size(); ++i)
    if (greatest ? less(keys[best], keys[i], budget) : less(keys[i], keys[best], budget)) best = i;
  return all[best];
}

Value sum(const Value& value, const Arguments& arguments, Budget& budget) {
  const Value* attribute = arguments.find(0, "attribute");
  const Value* start = arguments.find(1, "start");
  double real = 0;
  std::int64_t whole = 0;
  bool is_whole = true;
  const auto add = [&](const Value& number) {
    real += number.number("a term of a sum");
    if (number.real())
      is_whole = false;
    else if (__builtin_add_overflow(whole, number.whole(""), &whole))
      throw Fault("a sum beyond 64 bits");
  };
  if (start) add(*start);
  for (const Value& item : elements(value, budget)) add(attribute ? at_path(item, *attribute, budget) : item);
  return is_whole ? Value(whole) : Value(real);
}

Value map(const Value& value, const Arguments& arguments, Budget& budget) {
  std::vector<Value> out;
  Arguments rest;
  const Value* attribute = arguments.positional.empty() ? arguments.find(0, "attribute") : nullptr;
  const Value* missing = arguments.find(99, "default");
  std::string name;
  if (!attribute) {
    name = arguments.text_or(0, "a filter", "");
    rest.positional.assign(arguments.positional.begin() + !arguments.positional.empty(),
                           arguments.positional.end());
    rest.named = arguments.named;
  }
  for (const Value& item : elements(value, budget)) {
    Value found = attribute ? at_path(item, *attribute, budget) : apply_filter(name, item, rest, budget);
    out.push_back(attribute && missing && found.is_undefined() ? *missing : std::move(found));
  }
  return Value::list(std::move(out));
}

/// Those that pass a test, or whose attribute does; or the others.
template <bool by_attribute, bool wanted>
Value select(const Value& value, const Arguments& arguments, Budget& budget) {
  std::vector<Value> out;
  Arguments rest;
  const std::size_t skip = by_attribute ? 2 : 1;
  const std::size_t given = arguments.positional.size();
  if (given > skip)
    rest.positional.assign(arguments.positional.begin() + static_cast<std::ptrdiff_t>(skip),
                           arguments.positional.end());
  for (const Value& item : elements(value, budget)) {
    const Value tested = by_attribute ? at_path(item, arguments.at(0, "the attribute"), budget) : item;
    const bool passes = given < skip
                            ? tested.truth()
                            : apply_test(arguments.text_or(skip - 1, "test", ""), tested, rest, budget);
    if (passes == wanted) out.push_back(item);
  }
  return Value::list(std::move(out));
}

Value tojson(const Value& value, const Arguments& arguments, Budget& budget) {
  JsonStyle style;
  style.ascii = arguments.truth_or(0, "ensure_ascii", false);
  if (const Value* indent = arguments.find(1, "indent"); indent && !indent->is_none())
    style.indent = static_cast<int>(std::clamp<std::int64_t>(indent->whole("the indent"), 0, 100));
  if (style.indent >= 0) style.item_separator = ",";
  if (const Value* given = arguments.find(2, "separators"); given && !given->is_none()) {
    if (!given->items() || given->items()->size() != 2) throw Fault("tojson takes two separators");
    style.item_separator = text_of((*given->items())[0], budget);
    style.key_separator = text_of((*given->items())[1], budget);
  }
  style.sort_keys = arguments.truth_or(3, "sort_keys", false);
  return to_json(value, style, budget);
}

Value indent(const Value& value, const Arguments& arguments, Budget& budget) {
  std::string text = text_of(value, budget) + "\n";  // as Jinja does, so that an empty text has a line
  const Value* width = arguments.find(0, "width");
  const std::string by = width && width->text()
                             ? *width->text()
                             : std::string(static_cast<std::size_t>(std::clamp<std::int64_t>(
                                               width ? width->whole("the width") : 4, 0, 1000)),
                                           ' ');
  const bool first = arguments.truth_or(1, "first", false), blank = arguments.truth_or(2, "blank", false);
  Arguments none;
  const Value lines = call_method(text, "splitlines", none, budget);
  std::string out;
  for (std::size_t i = 0; i < lines.items()->size(); ++i) {
    const std::string& line = *(*lines.items())[i].text();
    if (i > 0) out.push_back('\n');
    if (i == 0 ? first : (blank || !line.empty())) out += by;
    out += line;
    budget.spend_text(by.size() + line.size());
  }
  return out;
}

Value to_int(const Value& value, const Arguments& arguments, Budget&) {
  const std::int64_t otherwise = arguments.whole_or(0, "default", 0);
  if (const double* real = value.real())
    return std::isfinite(*real) && std::abs(*real) < 9e18 ? static_cast<std::int64_t>(*real) : otherwise;
  if (value.is_number()) return value.whole("");
  const std::string* text = value.text();
  if (!text) return otherwise;
  std::string_view digits = stripped_left(stripped_right(*text));
  const auto base = static_cast<int>(std::clamp<std::int64_t>(arguments.whole_or(1, "base", 10), 2, 36));
  if (digits.starts_with('+')) digits.remove_prefix(1);
  const std::string_view prefix = base == 16 ? "0x" : base == 8 ? "0o" : base == 2 ? "0b" : "";
  if (!prefix.empty() && digits.starts_with(prefix)) digits.remove_prefix(prefix.size());
  std::int64_t whole = 0;
  const char* end = digits.data() + digits.size();
  if (!digits.empty() && std::from_chars(digits.data(), end, whole, base).ptr == end) return whole;
  double real = 0;
  if (!digits.empty() && std::from_chars(digits.data(), end, real).ptr == end && std::abs(real) < 9e18)
    return static_cast<std::int64_t>(real);
  return otherwise;
}

Value to_float(const Value& value, const Arguments& arguments, Budget&) {
  if (value.is_number()) return value.number("");
  const Value* given = arguments.find(0, "default");
  const double otherwise = given ? given->number("the default") : 0.0;
  if (!value.text()) return otherwise;
  const std::string_view digits = stripped_left(stripped_right(*value.text()));
  double real = 0;
  const char* end = digits.data() + digits.size();
  return !digits.empty() && std::from_chars(digits.data(), end, real).ptr == end ? real : otherwise;
}

Value round(const Value& value, const Arguments& arguments, Budget&) {
  const auto digits =
      static_cast<int>(std::clamp<std::int64_t>(arguments.whole_or(0, "precision", 0), -15, 15));
  const std::string method = arguments.text_or(1, "method", "common");
  const double scale = std::pow(10.0, digits), number = value.number("what is rounded");
  if (method == "ceil") return std::ceil(number * scale) / scale;
  if (method == "floor") return std::floor(number * scale) / scale;
  return std::nearbyint(number * scale) / scale;
}

Value absolute(const Value& value, const Arguments&, Budget&) {
  if (value.real()) return std::abs(*value.real());
  const std::int64_t whole = value.whole("abs");
  if (whole == INT64_MIN) throw Fault("a number beyond 64 bits");
  return whole < 0 ? -whole : whole;
}

Value items(const Value& value, const Arguments&, Budget& budget) {
  if (value.is_undefined()) return Value::list({});
  if (!value.members()) throw Fault(std::string("items of ") + value.type_name());
  return call_method(value, "items", {}, budget);
}

Value replace(const Value& value, const Arguments& arguments, Budget& budget) {
  return replaced(text_of(value, budget), text_of(arguments.at(0, "old"), budget),
                  text_of(arguments.at(1, "new"), budget), arguments.whole_or(2, "count", -1), budget);
}

const std::map<std::string_view, Filter>& filters() {
  static const std::map<std::string_view, Filter> all{
      {"length", length},
      {"count", length},
      {"upper", changed<upper_case>},
      {"lower", changed<lower_case>},
      {"capitalize", changed<capitalised>},
      {"title", changed<titled>},
      {"escape", changed<escaped>},
      {"e", changed<escaped>},
      {"trim", trim},
      {"default", otherwise},
      {"d", otherwise},
      {"join", join},
      {"first", end_of<false>},
      {"last", end_of<true>},
      {"reverse", reverse},
      {"sort", sort},
      {"dictsort", dictsort},
      {"unique", unique},
      {"min", extreme<false>},
      {"max", extreme<true>},
      {"sum", sum},
      {"map", map},
      {"select", select<false, true>},
      {"reject", select<false, false>},
      {"selectattr", select<true, true>},
      {"rejectattr", select<true, false>},
      {"tojson", tojson},
      {"indent", indent},
      {"int", to_int},
      {"float", to_float},
      {"round", round},
      {"abs", absolute},
      {"items", items},
      {"replace", replace},
      {"list", [](const Value& value, const Arguments&,
                  Budget& budget) { return Value::list(elements(value, budget)); }},
      {"string",
       [](const Value& value, const Arguments&, Budget& budget) { return Value(text_of(value, budget)); }},
      {"safe", [](const Value& value, const Arguments&, Budget&) { return value; }},
      {"attr", [](const Value& value, const Arguments& arguments,
                  Budget&) { return attribute_of(value, arguments.text_or(0, "name", "")); }},
      {"wordcount",
       [](const Value& value, const Arguments&, Budget& budget) {
         return length(call_method(text_of(value, budget), "split", {}, budget), {}, budget);
       }},
      {"format", [](const Value& value, const Arguments& arguments, Budget& budget) {
         return Value(formatted(text_of(value, budget), arguments.positional, budget));
       }}};
  return all;
}

}  // namespace

const Value* Arguments::find(std::size_t place, std::string_view name) const {
  if (place < positional.size()) return &positional[place];
  for (const auto& [given, value] : named)
    if (given == name) return &value;
  return nullptr;
}

const Value& Arguments::at(std::size_t place, std::string_view name) const {
  const Value* found = find(place, name);
  if (!found) throw Fault("misses an argument: " + std::string(name));
  return *found;
}

std::string Arguments::text_or(std::size_t place, std::string_view name, std::string_view otherwise) const {
  const Value* found = find(place, name);
  if (!found) return std::string(otherwise);
  if (!found->text())
    throw Fault(std::string(name) + " is " + found->type_name() + ", but a text was expected");
  return *found->text();
}

std::int64_t Arguments::whole_or(std::size_t place, std::string_view name, std::int64_t otherwise) const {
  const Value* found = find(place, name);
  return found && !found->is_none() ? found->whole(name) : otherwise;
}

bool Arguments::truth_or(std::size_t place, std::string_view name, bool otherwise) const {
  const Value* found = find(place, name);
  return found ? found->truth() : otherwise;
}

bool is_filter(std::string_view name) { return filters().contains(name); }

Value apply_filter(std::string_view name, const Value& value, const Arguments& arguments, Budget& budget) {
  const Budget::Level level(budget);
  budget.spend(1);
  const auto found = filters().find(name);
  if (found == filters().end()) throw Fault("there is no filter '" + std::string(name) + "'");
  return found->second(value, arguments, budget);
}

}  // namespace fovea::text::jinja
