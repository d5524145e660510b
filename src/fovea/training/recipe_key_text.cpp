// Keys and their values as text: for recipes that are written, and for messages.
#include <charconv>
#include <cstdio>

#include "fovea/training/recipe_keys.h"

namespace fovea::training {
namespace {

std::string shortest(double number) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, number).ptr};
}

std::string in_quotes(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out.append(1, '\\').append(1, c);
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04X", static_cast<unsigned>(c));
      out += escaped;
    } else {
      out += c;
    }
  }
  return out + '"';
}

}  // namespace

std::string Key::full_name() const {
  return section.empty() ? std::string(name) : std::string(section) + "." + std::string(name);
}

std::string Key::expectation() const {
  const auto bound = [this](double value) {
    return type == ValueType::number ? shortest(value) : std::to_string(static_cast<std::int64_t>(value));
  };
  const std::string range = " from " + bound(minimum) + " to " + bound(maximum);
  switch (type) {
    case ValueType::boolean:
      return "true or false";
    case ValueType::integer:
      return "an integer" + range;
    case ValueType::number:
      return "a number" + range;
    case ValueType::pair:
      return "a list of two integers" + range;
    case ValueType::list:
      return "a list of integers" + range;
    case ValueType::texts:
      return "a text or a list of texts";
    case ValueType::text:
    case ValueType::choice:
      break;
  }
  if (choices.empty()) return "a text";
  std::string names;
  for (const Choice& choice : choices) names.append(names.empty() ? "" : ", ").append(choice.name);
  return "one of " + names;
}

std::string to_toml(const Key& key, const Value& value) {
  switch (key.type) {
    case ValueType::boolean:
      return std::get<bool>(value) ? "true" : "false";
    case ValueType::integer:
      return std::to_string(std::get<std::int64_t>(value));
    case ValueType::number:
      return shortest(std::get<double>(value));
    case ValueType::text:
      return in_quotes(std::get<std::string>(value));
    case ValueType::pair: {
      const auto& [first, second] = std::get<std::array<std::int64_t, 2>>(value);
      return "[" + std::to_string(first) + ", " + std::to_string(second) + "]";
    }
    case ValueType::list: {
      std::string items;
      for (const auto item : std::get<List>(value))
        items.append(items.empty() ? "" : ", ").append(std::to_string(item));
      return "[" + items + "]";
    }
    case ValueType::texts: {
      const Texts& texts = std::get<Texts>(value);
      if (texts.size() == 1) return in_quotes(texts.front());
      std::string items;
      for (const auto& text : texts) items.append(items.empty() ? "" : ", ").append(in_quotes(text));
      return "[" + items + "]";
    }
    case ValueType::choice:
      break;
  }
  for (const Choice& choice : key.choices)
    if (choice.value == std::get<std::int64_t>(value)) return in_quotes(choice.name);
  return in_quotes("");
}

}  // namespace fovea::training
