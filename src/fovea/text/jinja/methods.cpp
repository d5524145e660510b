#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <optional>

#include <unicode/uchar.h>

#include "fovea/text/jinja/builtins.h"
#include "fovea/text/jinja/lexer.h"
#include "fovea/text/utf8.h"

namespace fovea::text::jinja {
namespace {

using Text = const std::string&;
using Method = Value (*)(Text self, const Arguments&, Budget&);

std::string as_text(const Value& value, std::string_view what) {
  if (!value.text())
    throw Fault(std::string(what) + " is " + value.type_name() + ", but a text was expected");
  return *value.text();
}

// ---- texts

/// Takes characters of `set` off the ends, white space if it is none.
std::string_view stripped(std::string_view text, const Value* set, bool left, bool right) {
  if (!set || set->is_none()) {
    if (left) text = stripped_left(text);
    return right ? stripped_right(text) : text;
  }
  const std::string chars = as_text(*set, "what is stripped");
  const auto holds = [&](std::string_view character) { return chars.find(character) != std::string::npos; };
  while (left && !text.empty() && holds(text.substr(0, decode_utf8(text).length)))
    text.remove_prefix(decode_utf8(text).length);
  while (right && !text.empty()) {
    std::size_t begin = text.size() - 1;
    while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
    if (!holds(text.substr(begin))) break;
    text = text.substr(0, begin);
  }
  return text;
}

template <bool left, bool right>
Value strip(Text self, const Arguments& arguments, Budget&) {
  return stripped(self, arguments.find(0, "chars"), left, right);
}

/// At white space: runs count as one, those at the ends as none.
std::vector<Value> words(std::string_view text, std::int64_t most) {
  std::vector<Value> out;
  for (text = stripped_left(text); !text.empty(); text = stripped_left(text)) {
    if (most-- == 0) {
      out.emplace_back(stripped_right(text));
      break;
    }
    std::size_t length = 0;
    while (length < text.size() && !is_python_space(decode_utf8(text.substr(length)).code_point))
      length += decode_utf8(text.substr(length)).length;
    out.emplace_back(text.substr(0, length));
    text.remove_prefix(length);
  }
  return out;
}

Value split(Text self, const Arguments& arguments, Budget& budget) {
  budget.spend(self.size());
  std::int64_t most = arguments.whole_or(1, "maxsplit", -1);
  const Value* given = arguments.find(0, "sep");
  if (!given || given->is_none()) return Value::list(words(self, most));
  const std::string separator = as_text(*given, "the separator");
  if (separator.empty()) throw Fault("splits at an empty text");
  std::vector<Value> out;
  std::string_view rest = self;
  for (std::size_t at; most-- != 0 && (at = rest.find(separator)) != std::string_view::npos;) {
    out.emplace_back(rest.substr(0, at));
    rest.remove_prefix(at + separator.size());
  }
  out.emplace_back(rest);
  return Value::list(std::move(out));
}

Value rsplit(Text self, const Arguments& arguments, Budget& budget) {
  budget.spend(self.size());
  std::int64_t most = arguments.whole_or(1, "maxsplit", -1);
  const Value* given = arguments.find(0, "sep");
  if (!given || given->is_none()) {
    if (most < 0) return Value::list(words(self, -1));
    throw Fault("rsplit() needs its separator here");
  }
  const std::string separator = as_text(*given, "the separator");
  if (separator.empty()) throw Fault("splits at an empty text");
  std::vector<Value> out;
  std::string_view rest = self;
  for (std::size_t at; most-- != 0 && (at = rest.rfind(separator)) != std::string_view::npos;) {
    out.emplace_back(rest.substr(at + separator.size()));
    rest = rest.substr(0, at);
  }
  out.emplace_back(rest);
  std::reverse(out.begin(), out.end());
  return Value::list(std::move(out));
}

Value splitlines(Text self, const Arguments& arguments, Budget& budget) {
  budget.spend(self.size());
  const bool keep = arguments.truth_or(0, "keepends", false);
  std::vector<Value> out;
  for (std::string_view rest = self; !rest.empty();) {
    std::size_t length = 0, end = 0;
    while (length < rest.size() && end == 0) {
      const Decoded next = decode_utf8(rest.substr(length));
      const char32_t c = next.code_point;
      const bool breaks =
          (c >= 10 && c <= 13) || (c >= 28 && c <= 30) || c == 0x85 || c == 0x2028 || c == 0x2029;
      if (!breaks) {
        length += next.length;
        continue;
      }
      end = next.length + (rest.substr(length).starts_with("\r\n") ? 1 : 0);
    }
    out.emplace_back(rest.substr(0, keep ? length + end : length));
    rest.remove_prefix(length + end);
  }
  return Value::list(std::move(out));
}

/// A text or a tuple of texts, of which one must fit.
bool any_fits(const Value& given, const std::function<bool(const std::string&)>& fits) {
  if (!given.is_tuple()) return fits(as_text(given, "what is looked for"));
  return std::any_of(given.items()->begin(), given.items()->end(),
                     [&](const Value& item) { return fits(as_text(item, "what is looked for")); });
}

Value startswith(Text self, const Arguments& arguments, Budget&) {
  return any_fits(arguments.at(0, "prefix"), [&](const std::string& part) { return self.starts_with(part); });
}
Value endswith(Text self, const Arguments& arguments, Budget&) {
  return any_fits(arguments.at(0, "suffix"), [&](const std::string& part) { return self.ends_with(part); });
}

template <bool last>
Value find(Text self, const Arguments& arguments, Budget& budget) {
  budget.spend_text(self.size());
  const std::string part = as_text(arguments.at(0, "sub"), "what is looked for");
  const std::size_t at = last ? self.rfind(part) : self.find(part);
  return at == std::string::npos
             ? std::int64_t{-1}
             : static_cast<std::int64_t>(code_points(std::string_view(self).substr(0, at)));
}

Value index(Text self, const Arguments& arguments, Budget& budget) {
  const Value found = find<false>(self, arguments, budget);
  if (*found.integer() < 0) throw Fault("the text looked for is not there");
  return found;
}

Value count(Text self, const Arguments& arguments, Budget& budget) {
  budget.spend_text(self.size());
  const std::string part = as_text(arguments.at(0, "sub"), "what is counted");
  if (part.empty()) return static_cast<std::int64_t>(code_points(self) + 1);
  std::int64_t found = 0;
  for (std::size_t at = 0; (at = self.find(part, at)) != std::string::npos; at += part.size()) ++found;
  return found;
}

Value replace(Text self, const Arguments& arguments, Budget& budget) {
  return replaced(self, as_text(arguments.at(0, "old"), "what is replaced"),
                  as_text(arguments.at(1, "new"), "the new text"), arguments.whole_or(2, "count", -1),
                  budget);
}

Value join(Text self, const Arguments& arguments, Budget& budget) {
  std::string out;
  bool first = true;
  for (const Value& item : elements(arguments.at(0, "iterable"), budget)) {
    if (!first) out += self;
    first = false;
    out += as_text(item, "what is joined");
    budget.spend_text(out.size() > 0 ? item.text()->size() + self.size() : 0);
  }
  return out;
}

Value title(Text self, const Arguments&, Budget& budget) {
  budget.spend(self.size());
  std::string out;
  bool inside = false;
  for (std::string_view rest = self; !rest.empty();) {
    const Decoded next = decode_utf8(rest);
    const std::string_view bytes = rest.substr(0, next.length);
    out += inside ? lower_case(bytes) : upper_case(bytes);
    inside = u_isalpha(static_cast<UChar32>(next.code_point));
    rest.remove_prefix(next.length);
  }
  return out;
}

template <UBool (*is)(UChar32)>
Value every(Text self, const Arguments&, Budget& budget) {
  budget.spend(self.size());
  for (std::string_view rest = self; !rest.empty(); rest.remove_prefix(decode_utf8(rest).length))
    if (!is(static_cast<UChar32>(decode_utf8(rest).code_point))) return false;
  return !self.empty();
}
UBool is_space(UChar32 c) { return is_python_space(static_cast<char32_t>(c)); }

template <bool upper>
Value cased(Text self, const Arguments&, Budget& budget) {
  budget.spend(self.size());
  return self == (upper ? upper_case(self) : lower_case(self)) &&
         self != (upper ? lower_case(self) : upper_case(self));
}

Value zfill(Text self, const Arguments& arguments, Budget& budget) {
  const std::int64_t width = arguments.at(0, "width").whole("the width");
  const auto have = static_cast<std::int64_t>(code_points(self));
  if (width <= have) return self;
  budget.spend_text(static_cast<std::size_t>(width));
  const bool sign = self.starts_with('-') || self.starts_with('+');
  return self.substr(0, sign) + std::string(static_cast<std::size_t>(width - have), '0') + self.substr(sign);
}

const std::map<std::string_view, Method>& text_methods() {
  static const std::map<std::string_view, Method> methods{
      {"strip", strip<true, true>},
      {"lstrip", strip<true, false>},
      {"rstrip", strip<false, true>},
      {"split", split},
      {"rsplit", rsplit},
      {"splitlines", splitlines},
      {"startswith", startswith},
      {"endswith", endswith},
      {"find", find<false>},
      {"rfind", find<true>},
      {"index", index},
      {"count", count},
      {"replace", replace},
      {"join", join},
      {"title", title},
      {"zfill", zfill},
      {"isdigit", every<u_isdigit>},
      {"isnumeric", every<u_isdigit>},
      {"isalpha", every<u_isalpha>},
      {"isalnum", every<u_isalnum>},
      {"isspace", every<is_space>},
      {"isupper", cased<true>},
      {"islower", cased<false>},
      {"upper", [](Text self, const Arguments&,
                   Budget& budget) { return budget.spend(self.size()), Value(upper_case(self)); }},
      {"lower", [](Text self, const Arguments&,
                   Budget& budget) { return budget.spend(self.size()), Value(lower_case(self)); }},
      {"capitalize", [](Text self, const Arguments&,
                        Budget& budget) { return budget.spend(self.size()), Value(capitalised(self)); }},
      {"removeprefix",
       [](Text self, const Arguments& arguments, Budget&) {
         const std::string part = as_text(arguments.at(0, "prefix"), "the prefix");
         return Value(self.starts_with(part) ? self.substr(part.size()) : self);
       }},
      {"removesuffix", [](Text self, const Arguments& arguments, Budget&) {
         const std::string part = as_text(arguments.at(0, "suffix"), "the suffix");
         return Value(self.ends_with(part) ? self.substr(0, self.size() - part.size()) : self);
       }}};
  return methods;
}

// ---- dicts and lists

Value dict_method(const Value& self, std::string_view name, const Arguments& arguments, Budget& budget) {
  budget.spend(name == "get" ? 1 : self.members()->size() + 1);
  if (name == "get") {
    const Value& key = arguments.at(0, "key");
    const Value* found = key.text() ? self.member(*key.text()) : nullptr;
    if (found) return *found;
    const Value* otherwise = arguments.find(1, "default");
    return otherwise ? *otherwise : Value(Value::None{});
  }
  if (name == "copy") return self;
  std::vector<Value> out;
  for (const auto& [key, value] : *self.members()) {
    if (name == "keys") out.emplace_back(key);
    if (name == "values") out.push_back(value);
    if (name == "items") out.push_back(Value::list({Value(key), value}, true));
  }
  return Value::list(std::move(out));
}

Value list_method(const Value& self, std::string_view name, const Arguments& arguments, Budget& budget) {
  if (name == "copy") return self;
  const Value& wanted = arguments.at(0, "value");
  std::int64_t found = 0;
  for (std::size_t i = 0; i < self.items()->size(); ++i) {
    if (!equal((*self.items())[i], wanted, budget)) continue;
    if (name == "index") return static_cast<std::int64_t>(i);
    ++found;
  }
  if (name == "index") throw Fault("the value looked for is not in the list");
  return found;
}

constexpr std::array<std::string_view, 5> dict_methods{"get", "keys", "values", "items", "copy"};
constexpr std::array<std::string_view, 3> list_methods{"index", "count", "copy"};
constexpr std::array<std::string_view, 12> changing{"append",     "extend", "insert",  "remove",
                                                    "pop",        "clear",  "sort",    "reverse",
                                                    "setdefault", "update", "popitem", "add"};

bool among(const auto& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::optional<Value> loop_attribute(const Value::Loop& loop, std::string_view name) {
  const auto& items = *loop.list.items();
  const auto index = static_cast<std::int64_t>(loop.index), length = static_cast<std::int64_t>(items.size());
  if (name == "index") return index + 1;
  if (name == "index0") return index;
  if (name == "revindex") return length - index;
  if (name == "revindex0") return length - index - 1;
  if (name == "first") return index == 0;
  if (name == "last") return index + 1 == length;
  if (name == "length") return length;
  if (name == "previtem" && index > 0) return items[loop.index - 1];
  if (name == "nextitem" && index + 1 < length) return items[loop.index + 1];
  return std::nullopt;
}

}  // namespace

bool has_method(const Value& self, std::string_view name) {
  if (self.text()) return text_methods().contains(name);
  if (self.members()) return among(dict_methods, name) || among(changing, name);
  if (self.items()) return among(list_methods, name) || among(changing, name);
  return self.loop() && name == "cycle";
}

Value call_method(const Value& self, std::string_view name, const Arguments& arguments, Budget& budget) {
  const Budget::Level level(budget);
  budget.spend(1);
  if (!has_method(self, name))
    throw Fault(std::string(self.type_name()) + " has no method '" + std::string(name) + "'");
  if (self.text()) return text_methods().at(name)(*self.text(), arguments, budget);
  if (self.loop()) {
    if (arguments.positional.empty()) throw Fault("cycle() without values");
    return arguments.positional[self.loop()->index % arguments.positional.size()];
  }
  if (among(changing, name))
    throw Fault(std::string(name) + "() would change a value; templates may only read");
  return self.members() ? dict_method(self, name, arguments, budget)
                        : list_method(self, name, arguments, budget);
}

Value attribute_of(const Value& value, std::string_view name) {
  if (const auto* missing = value.get<Value::Undefined>())
    throw Fault("'" + missing->name + "' is undefined, so it has no '" + std::string(name) + "'");
  if (has_method(value, name)) return Value::method(value, name);
  if (const Value* member = value.member(name)) return *member;
  if (const Value::Namespace* space = value.space()) {
    const auto found = space->variables.find(std::string(name));
    if (found != space->variables.end()) return found->second;
  }
  if (const Value::Loop* loop = value.loop())
    if (auto found = loop_attribute(*loop, name)) return *std::move(found);
  return Value::Undefined{std::string(name)};
}

Value item_of(const Value& value, const Value& key, Budget& budget) {
  if (const auto* missing = value.get<Value::Undefined>())
    throw Fault("'" + missing->name + "' is undefined, so it has no elements");
  if (const std::string* name = key.text()) {
    if (const Value* member = value.member(*name)) return *member;
    return attribute_of(value, *name);
  }
  if (!key.integer() && !key.boolean()) return Value::Undefined{"an element"};
  std::int64_t index = key.whole("");
  const auto* items = value.items();
  if (!items && !value.text()) return Value::Undefined{std::to_string(index)};
  const auto length = static_cast<std::int64_t>(items ? items->size() : code_points(*value.text()));
  if (!items) budget.spend_text(value.text()->size());
  if (index < 0) index += length;
  if (index < 0 || index >= length) return Value::Undefined{std::to_string(index)};
  if (items) return (*items)[static_cast<std::size_t>(index)];
  std::string_view rest = *value.text();
  for (; index > 0; --index) rest.remove_prefix(decode_utf8(rest).length);
  return rest.substr(0, decode_utf8(rest).length);
}

}  // namespace fovea::text::jinja
