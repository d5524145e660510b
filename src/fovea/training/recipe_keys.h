#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "fovea/training/recipe.h"

/// The keys of a recipe as data: what read_recipe(), to_toml() and check_resumable() go through.
namespace fovea::training {

/// What a key holds. The value of a choice is the number of its enumerator.
using List = std::vector<std::int64_t>;
using Texts = std::vector<std::string>;
using Value = std::variant<bool, std::int64_t, double, std::string, std::array<std::int64_t, 2>, List, Texts>;
enum class ValueType { boolean, integer, number, text, texts, pair, list, choice };

struct Choice {
  std::string_view name;
  std::int64_t value;
};

struct Key {
  std::string_view section;  ///< empty for the keys above the first section
  std::string_view name;
  std::string_view explanation;  ///< one line
  ValueType type;
  double minimum = 0, maximum = 0;    ///< of integers, numbers, parts of a pair or list, inclusive
  std::vector<Choice> choices;        ///< of choices, and of texts that must be one of them
  bool may_change = false;            ///< between a run and its continuation
  bool from_preset = false;           ///< model.preset gives the default
  bool from_init = false;             ///< the model that the recipe begins from decides; not to be given then
  std::vector<ModelKind> kinds = {};  ///< of models of these kinds only; empty: of all
  Value (*get)(const Recipe&);
  void (*set)(Recipe&, const Value&);

  /// Whether a model of that kind has it.
  bool applies_to(ModelKind kind) const { return kinds.empty() || std::ranges::count(kinds, kind) > 0; }
  /// "training.updates", or "name".
  std::string full_name() const;
  /// What is allowed, for messages and comments: "an integer from 1 to 1024", "one of adam, adamw".
  std::string expectation() const;
};

/// All keys of recipes for a task, sections together, in the order they are printed.
std::span<const Key> recipe_keys(TaskKind task);

/// The key of that full name, or null.
const Key* find_key(TaskKind task, std::string_view full_name);

/// `value` of `key` as TOML writes it.
std::string to_toml(const Key& key, const Value& value);

}  // namespace fovea::training
