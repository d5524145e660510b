// How values print: Python's str(), repr() and json.dumps().
#include <unicode/uchar.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "fovea/text/jinja/value.h"
#include "fovea/text/utf8.h"

namespace fovea::text::jinja {
namespace {

constexpr char hex_digits[] = "0123456789abcdef";

void append_hex(std::string& out, std::uint32_t number, int digits) {
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) out.push_back(hex_digits[number >> shift & 15]);
}

/// The shortest digits that read back, with an exponent below 1e-4 and from 1e16.
std::string real_text(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number < 0 ? "-inf" : "inf";
  char buffer[64];
  const double size = std::abs(number);
  const bool fixed = size == 0 || (size >= 1e-4 && size < 1e16);
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, number,
                                 fixed ? std::chars_format::fixed : std::chars_format::scientific)
                       .ptr;
  std::string out(buffer, end);
  if (fixed && out.find('.') == std::string::npos) out += ".0";
  return out;
}

void append_text_repr(std::string& out, std::string_view text) {
  const char quote =
      text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos ? '"' : '\'';
  out.push_back(quote);
  while (!text.empty()) {
    const Decoded next = decode_utf8(text);
    const char32_t c = next.code_point;
    if (c == '\n' || c == '\r' || c == '\t') {
      out.append(c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t");
    } else if (c == '\\' || c == static_cast<unsigned char>(quote)) {
      out.push_back('\\');
      out.push_back(static_cast<char>(c));
    } else if (c == ' ' || u_isgraph(static_cast<UChar32>(c))) {
      out.append(text.substr(0, next.length));
    } else {
      const int digits = c < 0x100 ? 2 : c < 0x10000 ? 4 : 8;
      out.append(digits == 2 ? "\\x" : digits == 4 ? "\\u" : "\\U");
      append_hex(out, c, digits);
    }
    text.remove_prefix(next.length);
  }
  out.push_back(quote);
}

class JsonText {
 public:
  JsonText(const JsonStyle& style, Budget& budget) : style_(style), budget_(budget) {}

  void add(const Value& value, int level) {
    budget_.spend(1);
    if (value.is_none()) {
      out += "null";
    } else if (const bool* truth = value.boolean()) {
      out += *truth ? "true" : "false";
    } else if (const auto* whole = value.integer()) {
      out += std::to_string(*whole);
    } else if (const double* real = value.real()) {
      out += std::isnan(*real)   ? "NaN"
             : std::isinf(*real) ? (*real < 0 ? "-Infinity" : "Infinity")
                                 : real_text(*real);
    } else if (const std::string* text = value.text()) {
      add_text(*text);
    } else if (const auto* items = value.items()) {
      add_all(*items, '[', ']', level, [&](const Value& item) { add(item, level + 1); });
    } else if (const auto* members = value.members()) {
      add_dict(*members, level);
    } else {
      throw Fault(std::string(value.type_name()) + " cannot be put as JSON");
    }
  }

  std::string out;

 private:
  void add_dict(std::vector<std::pair<std::string, Value>> members, int level) {
    if (style_.sort_keys)
      std::stable_sort(members.begin(), members.end(),
                       [](const auto& a, const auto& b) { return a.first < b.first; });
    add_all(members, '{', '}', level, [&](const auto& member) {
      add_text(member.first);
      out += style_.key_separator;
      add(member.second, level + 1);
    });
  }

  template <class Items, class Add>
  void add_all(const Items& items, char open, char close, int level, const Add& add_item) {
    out.push_back(open);
    bool first = true;
    for (const auto& item : items) {
      if (!first) out += style_.item_separator;
      first = false;
      new_line(level + 1);
      add_item(item);
    }
    if (!items.empty()) new_line(level);
    out.push_back(close);
  }

  void new_line(int level) {
    if (style_.indent < 0) return;
    out.push_back('\n');
    const auto spaces = static_cast<std::size_t>(style_.indent) * static_cast<std::size_t>(level);
    budget_.spend_text(spaces);
    out.append(spaces, ' ');
  }

  void add_text(std::string_view text) {
    budget_.spend_text(text.size());
    out.push_back('"');
    while (!text.empty()) {
      const Decoded next = decode_utf8(text);
      add_character(next.code_point, text.substr(0, next.length));
      text.remove_prefix(next.length);
    }
    out.push_back('"');
  }

  void add_character(char32_t c, std::string_view bytes) {
    static constexpr std::string_view named = "\"\\\n\r\t\b\f", letters = "\"\\nrtbf";
    const std::size_t place = c < 128 ? named.find(static_cast<char>(c)) : std::string_view::npos;
    if (place != std::string_view::npos) {
      out.push_back('\\');
      out.push_back(letters[place]);
    } else if (c < 0x20 || (style_.ascii && c > 0x7E)) {
      if (c == 0x7F) return out.push_back('\x7F');
      const bool pair = c >= 0x10000;
      out += "\\u";
      append_hex(out, pair ? 0xD800 + ((c - 0x10000) >> 10) : c, 4);
      if (!pair) return;
      out += "\\u";
      append_hex(out, 0xDC00 + ((c - 0x10000) & 0x3FF), 4);
    } else {
      out.append(bytes);
    }
  }

  const JsonStyle& style_;
  Budget& budget_;
};

}  // namespace

std::string to_text(const Value& value, Budget& budget) {
  if (value.is_undefined()) return {};
  if (const std::string* text = value.text()) {
    budget.spend_text(text->size());
    return *text;
  }
  std::string out;
  append_repr(out, value, budget);
  return out;
}

void append_repr(std::string& out, const Value& value, Budget& budget) {
  budget.spend(1);
  const auto join = [&](const auto& items, const auto& add) {
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out += ", ";
      add(items[i]);
    }
  };
  if (value.is_undefined()) {
    out += "Undefined";
  } else if (value.is_none()) {
    out += "None";
  } else if (const bool* truth = value.boolean()) {
    out += *truth ? "True" : "False";
  } else if (const auto* whole = value.integer()) {
    out += std::to_string(*whole);
  } else if (const double* real = value.real()) {
    out += real_text(*real);
  } else if (const std::string* text = value.text()) {
    budget.spend_text(text->size());
    append_text_repr(out, *text);
  } else if (const auto* items = value.items()) {
    out += value.is_tuple() ? "(" : "[";
    join(*items, [&](const Value& item) { append_repr(out, item, budget); });
    if (value.is_tuple() && items->size() == 1) out += ",";
    out += value.is_tuple() ? ")" : "]";
  } else if (const auto* members = value.members()) {
    out += "{";
    join(*members, [&](const auto& member) {
      append_text_repr(out, member.first);
      out += ": ";
      append_repr(out, member.second, budget);
    });
    out += "}";
  } else {
    throw Fault(std::string("prints ") + value.type_name() + ", which is no text");
  }
}

std::string to_json(const Value& value, const JsonStyle& style, Budget& budget) {
  JsonText text(style, budget);
  text.add(value, 0);
  return std::move(text.out);
}

}  // namespace fovea::text::jinja
