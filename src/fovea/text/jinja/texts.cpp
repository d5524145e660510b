// What is done to texts, for filters and methods alike.
#include <unicode/ustring.h>

#include <cstdio>

#include "fovea/text/jinja/builtins.h"
#include "fovea/text/utf8.h"

namespace fovea::text::jinja {
namespace {

using Units = std::u16string;
using Mapping = std::int32_t (*)(UChar*, std::int32_t, const UChar*, std::int32_t, const char*, UErrorCode*);

Units to_units(std::string_view text) {
  Units out;
  while (!text.empty()) {
    const Decoded next = decode_utf8(text);
    const char32_t c = next.code_point;
    if (c >= 0x10000) {
      out.push_back(static_cast<char16_t>(0xD7C0 + (c >> 10)));
      out.push_back(static_cast<char16_t>(0xDC00 + (c & 0x3FF)));
    } else {
      out.push_back(static_cast<char16_t>(c));
    }
    text.remove_prefix(next.length);
  }
  return out;
}

std::string from_units(const Units& units) {
  std::string out;
  for (std::size_t i = 0; i < units.size(); ++i) {
    const char32_t unit = units[i];
    const bool pair = unit >= 0xD800 && unit < 0xDC00 && i + 1 < units.size();
    append_utf8(out, pair ? ((unit - 0xD7C0) << 10) + (units[++i] & 0x3FF) : unit);
  }
  return out;
}

std::string mapped(std::string_view text, Mapping mapping) {
  const Units in = to_units(text);
  Units out(in.size() * 3 + 4, u'\0');  // no mapping makes more than three of one
  UErrorCode error = U_ZERO_ERROR;
  const std::int32_t length = mapping(out.data(), static_cast<std::int32_t>(out.size()), in.data(),
                                      static_cast<std::int32_t>(in.size()), "", &error);
  if (U_FAILURE(error)) throw Fault("a text whose case cannot be changed");
  out.resize(static_cast<std::size_t>(length));
  return from_units(out);
}

std::string one_formatted(std::string_view flags, char conversion, const Value& value, Budget& budget) {
  if (conversion == 's') return to_text(value, budget);
  std::string out;
  if (conversion == 'r') {
    append_repr(out, value, budget);
    return out;
  }
  char text[512];
  if (conversion == 'd' || conversion == 'i') {
    const auto number =
        value.real() ? static_cast<long long>(*value.real()) : static_cast<long long>(value.whole("%d"));
    std::snprintf(text, sizeof text, ("%" + std::string(flags) + "lld").c_str(), number);
  } else {
    std::snprintf(text, sizeof text, ("%" + std::string(flags) + conversion).c_str(), value.number("%f"));
  }
  return text;
}

}  // namespace

std::string upper_case(std::string_view text) { return mapped(text, u_strToUpper); }
std::string lower_case(std::string_view text) { return mapped(text, u_strToLower); }

std::string capitalised(std::string_view text) {
  if (text.empty()) return {};
  const std::size_t first = decode_utf8(text).length;
  return upper_case(text.substr(0, first)) + lower_case(text.substr(first));
}

std::string formatted(std::string_view format, const std::vector<Value>& values, Budget& budget) {
  std::string out;
  std::size_t used = 0;
  for (std::size_t at; (at = format.find('%')) != std::string_view::npos;) {
    out.append(format.substr(0, at));
    format.remove_prefix(at + 1);
    const std::size_t length = format.find_first_not_of("0123456789.-+ ");
    if (length == std::string_view::npos || length > 8) throw Fault("a '%' without its conversion");
    const char conversion = format[length];
    if (conversion == '%') {
      out.push_back('%');
    } else if (std::string_view("sdirfeg").find(conversion) == std::string_view::npos ||
               (length > 3 && conversion != 'f')) {
      throw Fault(std::string("the conversion %") + conversion + " is not among what chat templates use");
    } else if (used == values.size()) {
      throw Fault("fewer values than the format has places");
    } else {
      out += one_formatted(format.substr(0, length), conversion, values[used++], budget);
    }
    format.remove_prefix(length + 1);
  }
  if (used < values.size()) throw Fault("more values than the format has places");
  budget.spend_text(out.size());
  return out.append(format);
}

std::string replaced(std::string_view text, std::string_view from, std::string_view to, std::int64_t count,
                     Budget& budget) {
  std::string out;
  while (count-- != 0) {
    const std::size_t at = from.empty() ? 0 : text.find(from);
    if (at == std::string_view::npos) break;
    budget.spend_text(at + to.size());
    out.append(text.substr(0, at)).append(to);
    text.remove_prefix(at + from.size());
    if (!from.empty()) continue;  // an empty text stands before each character and at the end
    if (text.empty()) break;
    const std::size_t length = decode_utf8(text).length;
    out.append(text.substr(0, length));
    text.remove_prefix(length);
  }
  budget.spend_text(text.size());
  return out.append(text);
}

}  // namespace fovea::text::jinja
