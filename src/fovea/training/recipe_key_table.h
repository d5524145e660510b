#pragma once

#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "fovea/training/recipe_keys.h"

/// How the tables of keys are written: recipe_keys.cpp, and one file or more a task.
namespace fovea::training {

inline std::string_view section_name(std::nullptr_t) { return ""; }
inline std::string_view section_name(DataOptions Recipe::*) { return "data"; }
inline std::string_view section_name(TokenizerOptions Recipe::*) { return "tokenizer"; }
inline std::string_view section_name(TextOptions Recipe::*) { return "data"; }
inline std::string_view section_name(TextTokenizerOptions Recipe::*) { return "tokenizer"; }
inline std::string_view section_name(ModelOptions Recipe::*) { return "model"; }
inline std::string_view section_name(RecurrentOptions Recipe::*) { return "recurrent"; }
inline std::string_view section_name(models::LoraOptions Recipe::*) { return "lora"; }
inline std::string_view section_name(TrainingOptions Recipe::*) { return "training"; }
inline std::string_view section_name(DecodingOptions Recipe::*) { return "decoding"; }
/// In several sections: each key says which.
inline std::string_view section_name(ClassificationOptions Recipe::*) { return ""; }
inline std::string_view section_name(TaggingOptions Recipe::*) { return "data"; }
inline std::string_view section_name(MaskingOptions Recipe::*) { return ""; }

template <auto Section, auto Field, class AnyRecipe>
auto& field_of(AnyRecipe& recipe) {
  if constexpr (std::is_null_pointer_v<decltype(Section)>) {
    return recipe.*Field;
  } else {
    return recipe.*Section.*Field;
  }
}

template <class T>
constexpr ValueType type_of() {
  if constexpr (std::is_same_v<T, bool>) return ValueType::boolean;
  if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) return ValueType::integer;
  if constexpr (std::is_same_v<T, std::vector<std::int32_t>>) return ValueType::list;
  if constexpr (std::is_same_v<T, double>) return ValueType::number;
  if constexpr (std::is_same_v<T, std::string>) return ValueType::text;
  if constexpr (std::is_same_v<T, Texts>) return ValueType::texts;
  if constexpr (std::is_enum_v<T>) return ValueType::choice;
  return ValueType::pair;
}

/// How a Value holds a T.
template <class T>
using Stored =
    std::conditional_t<std::is_enum_v<T> || (std::is_integral_v<T> && !std::is_same_v<T, bool>), std::int64_t,
                       std::conditional_t<std::is_same_v<T, std::vector<std::int32_t>>, List, T>>;

template <class To, class From>
To converted(const From& value) {
  if constexpr (type_of<To>() == ValueType::list || std::is_same_v<To, List>) {
    return To(value.begin(), value.end());
  } else {
    return static_cast<To>(value);
  }
}

struct Range {
  double minimum = 0, maximum = 0;
};

/// The key `name` for recipe.Section.Field. A `range` goes with numbers and lists, `choices` with
/// enumerations.
template <auto Section, auto Field>
Key key(std::string_view name, std::string_view explanation, Range range = {},
        std::vector<Choice> choices = {}) {
  using T = std::remove_cvref_t<decltype(field_of<Section, Field>(std::declval<Recipe&>()))>;
  Key key{};
  key.section = section_name(Section);
  key.name = name;
  key.explanation = explanation;
  key.type = type_of<T>();
  key.minimum = range.minimum;
  key.maximum = range.maximum;
  key.choices = std::move(choices);
  key.get = [](const Recipe& recipe) {
    return Value(converted<Stored<T>>(field_of<Section, Field>(recipe)));
  };
  key.set = [](Recipe& recipe, const Value& value) {
    field_of<Section, Field>(recipe) = converted<T>(std::get<Stored<T>>(value));
  };
  return key;
}

/// Names for the enumerators, in their order.
template <class Enum>
Choice choice(std::string_view name, Enum value) {
  return {name, static_cast<std::int64_t>(value)};
}

inline Key in_section(std::string_view section, Key key) {
  key.section = section;
  return key;
}

inline Key free_to_change(Key key) {
  key.may_change = true;
  return key;
}

inline Key of_kinds(std::vector<ModelKind> kinds, Key key) {
  key.kinds = std::move(kinds);
  return key;
}

inline Key from_preset(Key key) {
  key.from_preset = true;
  return key;
}

inline Key from_init(Key key) {
  key.from_init = true;
  return key;
}

inline constexpr Range count{0, 1e9}, at_least_one{1, 1e9}, probability{0, 0.99}, seed_range{0, 9e15};

/// The choices of model.preset.
std::vector<Choice> preset_choices();

/// Adds the keys of [data] for plain text.
void add_text_data(std::vector<Key>& keys);
/// Adds the keys of [decoding] for translation.
void add_decoding(std::vector<Key>& keys);

}  // namespace fovea::training
