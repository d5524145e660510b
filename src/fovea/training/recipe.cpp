#include "fovea/training/recipe.h"

#include <toml++/toml.h>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <utility>

#include "fovea/base/error.h"
#include "fovea/base/nearest.h"
#include "fovea/training/recipe_task.h"

namespace fovea::training {
namespace {

[[noreturn]] void fail(const std::string& where, const std::string& what, const std::string& remedy = {}) {
  throw Error(Error::Kind::usage, where, what, remedy);
}

std::string position(const std::string& file, const toml::source_region& region) {
  return file + ":" + std::to_string(region.begin.line) + ":" + std::to_string(region.begin.column);
}

/// What a recipe or an override says about a key, and where it says it.
struct Given {
  Value value;
  std::string where;
};
using GivenValues = std::map<const Key*, Given>;

constexpr std::string_view lora_section = "lora";

// ---- Unknown keys

/// The key that was probably meant: of the right name in another section, or the nearest in spelling.
std::string probable_key(TaskKind task, const std::string& full_name) {
  const std::string name = full_name.substr(full_name.find('.') + 1);
  std::vector<std::string> names, same_section;
  const std::string section = full_name.substr(0, full_name.size() - name.size());
  for (const Key& key : recipe_keys(task)) {
    if (key.name == name) return key.full_name();
    names.push_back(key.full_name());
    if (key.full_name().starts_with(section)) same_section.emplace_back(key.name);
  }
  if (const auto near = nearest(name, same_section); !near.empty()) return section + std::string(near);
  return std::string(nearest(full_name, names));
}

[[noreturn]] void fail_unknown(TaskKind task, const std::string& where, const std::string& full_name) {
  for (const RecipeTask& other : recipe_tasks())
    if (find_key(other.task, full_name))
      fail(where, full_name + " is no key of the task " + std::string(recipe_task(task).name),
           "leave it out, or set task = \"" + std::string(other.name) + "\" at the top");
  const std::string near = probable_key(task, full_name);
  fail(where, "unknown key '" + printable(full_name) + "'",
       near.empty() ? "fovea train --print-recipe transformer-tiny lists all keys"
                    : "did you mean " + near + "?");
}

const Key& known_key(TaskKind task, const std::string& where, const std::string& full_name) {
  const Key* key = find_key(task, full_name);
  if (!key) fail_unknown(task, where, full_name);
  return *key;
}

// ---- Values

std::string describe(const toml::node& node) {
  std::ostringstream text;
  node.visit([&text](const auto& value) { text << value; });
  const char* type = "the value ";
  switch (node.type()) {
    case toml::node_type::string:
      type = "the text ";
      break;
    case toml::node_type::integer:
      type = "the integer ";
      break;
    case toml::node_type::floating_point:
      type = "the number ";
      break;
    case toml::node_type::boolean:
      type = "";
      break;
    case toml::node_type::array:
      type = "the list ";
      break;
    case toml::node_type::table:
      return "a section";
    default:
      break;
  }
  return type + printable(text.str());
}

std::optional<std::int64_t> integer_of(const Key& key, const toml::node& node) {
  const auto value = node.value_exact<std::int64_t>();
  const bool inside =
      value && static_cast<double>(*value) >= key.minimum && static_cast<double>(*value) <= key.maximum;
  return inside ? value : std::nullopt;
}

std::optional<double> number_of(const Key& key, const toml::node& node) {
  if (!node.is_number()) return std::nullopt;
  const auto value = node.value<double>();
  return value && *value >= key.minimum && *value <= key.maximum ? value : std::nullopt;  // NaN is outside
}

std::optional<std::array<std::int64_t, 2>> pair_of(const Key& key, const toml::node& node) {
  const toml::array* list = node.as_array();
  if (!list || list->size() != 2) return std::nullopt;
  const auto first = integer_of(key, *list->get(0)), second = integer_of(key, *list->get(1));
  if (!first || !second) return std::nullopt;
  return std::array{*first, *second};
}

std::optional<List> list_of(const Key& key, const toml::node& node) {
  const toml::array* array = node.as_array();
  if (!array) return std::nullopt;
  List list;
  for (const toml::node& item : *array) {
    const auto value = integer_of(key, item);
    if (!value) return std::nullopt;
    list.push_back(*value);
  }
  return list;
}

std::optional<Texts> texts_of(const toml::node& node) {
  if (const auto text = node.value_exact<std::string>()) return Texts{*text};
  const toml::array* array = node.as_array();
  if (!array) return std::nullopt;
  Texts texts;
  for (const toml::node& item : *array) {
    auto text = item.value_exact<std::string>();
    if (!text) return std::nullopt;
    texts.push_back(*std::move(text));
  }
  return texts;
}

/// A text; of a choice, true and false too, for those that are named so.
std::optional<std::string> text_of(const Key& key, const toml::node& node) {
  if (key.type == ValueType::choice && node.is_boolean()) return *node.value<bool>() ? "true" : "false";
  return node.value_exact<std::string>();
}

/// The value of `key` in `node`, or nothing if it has the wrong type, is out of range or no choice.
std::optional<Value> value_of(const Key& key, const toml::node& node) {
  const auto as_value = [](const auto& value) { return value ? std::optional<Value>(*value) : std::nullopt; };
  switch (key.type) {
    case ValueType::boolean:
      return as_value(node.value_exact<bool>());
    case ValueType::integer:
      return as_value(integer_of(key, node));
    case ValueType::number:
      return as_value(number_of(key, node));
    case ValueType::pair:
      return as_value(pair_of(key, node));
    case ValueType::list:
      return as_value(list_of(key, node));
    case ValueType::texts:
      return as_value(texts_of(node));
    case ValueType::text:
    case ValueType::choice:
      break;
  }
  const auto text = text_of(key, node);
  if (!text || (key.type == ValueType::text && key.choices.empty())) return as_value(text);
  for (const Choice& choice : key.choices)
    if (choice.name == *text) return key.type == ValueType::text ? Value(*text) : Value(choice.value);
  return std::nullopt;
}

Value checked_value(const Key& key, const toml::node& node, const std::string& where) {
  if (auto value = value_of(key, node)) return *std::move(value);
  fail(where, key.full_name() + " is " + describe(node) + " but must be " + key.expectation());
}

// ---- Reading

void add_section(TaskKind task, const toml::table& section, const std::string& section_name,
                 const std::string& file, GivenValues& given) {
  for (const auto& [name, node] : section) {
    const std::string where = position(file, node.source());
    const Key& key = known_key(task, where, section_name + "." + std::string(name.str()));
    given[&key] = {checked_value(key, node, where), where};
  }
}

/// The sections that recipes for a task have.
std::vector<std::string> sections_of(TaskKind task) {
  std::vector<std::string> sections;
  for (const Key& key : recipe_keys(task))
    if (!key.section.empty() && (sections.empty() || sections.back() != key.section))
      sections.emplace_back(key.section);
  return sections;
}

[[noreturn]] void fail_unknown_section(const std::vector<std::string>& sections, const std::string& where,
                                       const std::string& name) {
  const std::string near(nearest(name, sections));
  std::string all;
  for (const auto& section : sections)
    all.append(all.empty() ? "" : section == sections.back() ? " and " : ", ").append(section);
  fail(where, "unknown section [" + printable(name) + "]",
       near.empty() ? "there are " + all : "did you mean [" + near + "]?");
}

toml::table parse(std::string_view text, const std::string& file) {
  try {
    return toml::parse(text, file);
  } catch (const toml::parse_error& error) {
    fail(position(file, error.source()), std::string(error.description()));
  }
}

void add_file(TaskKind task, const toml::table& recipe, const std::string& file, GivenValues& given) {
  const auto sections = sections_of(task);
  for (const auto& [name_key, node] : recipe) {
    const std::string name(name_key.str()), where = position(file, node.source());
    const toml::table* section = node.as_table();
    if (section && section->empty() && name == lora_section)
      fail(where, "[lora] says nothing", "give lora.rank, or leave the section out");
    if (section && std::ranges::count(sections, name) > 0) {
      add_section(task, *section, name, file, given);
    } else if (section && !find_key(task, name)) {
      fail_unknown_section(sections, where, name);
    } else {
      const Key& key = known_key(task, where, name);
      given[&key] = {checked_value(key, node, where), where};
    }
  }
}

/// "section.key=value"; the value as TOML writes it, except that quotes around a text may be left out.
void add_override(TaskKind task, const std::string& text, GivenValues& given) {
  const std::string where = "--set " + printable(text);
  const auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0) fail(where, "is not of the form section.key=value");
  const Key& key = known_key(task, where, text.substr(0, equals));
  const std::string right = text.substr(equals + 1);
  const bool takes_text =
      key.type == ValueType::text || key.type == ValueType::choice || key.type == ValueType::texts;
  const bool in_toml = right.starts_with('"') || right.starts_with('\'') ||
                       (key.type == ValueType::texts && right.starts_with('['));
  if (takes_text && !in_toml) {
    given[&key] = {checked_value(key, toml::value<std::string>(right), where), where};
    return;
  }
  toml::table parsed;
  try {
    parsed = toml::parse("value = " + right);
  } catch (const toml::parse_error&) {
    fail(where, key.full_name() + " must be " + key.expectation());
  }
  if (parsed.size() != 1) fail(where, "sets more than one key");
  given[&key] = {checked_value(key, *parsed.get("value"), where), where};
}

/// What the recipe is for, which decides what keys there are.
TaskKind task_of(const toml::table& recipe, const std::string& file,
                 const std::vector<std::string>& overrides) {
  constexpr TaskKind any{};  // the key is the same for all
  const Key* key = find_key(any, "task");
  GivenValues given;
  if (const toml::node* node = recipe.get("task")) {
    const std::string where = position(file, node->source());
    given[key] = {checked_value(*key, *node, where), where};
  }
  for (const std::string& text : overrides)
    if (text.starts_with("task=")) add_override(any, text, given);
  const auto found = given.find(key);
  return found == given.end() ? any : static_cast<TaskKind>(std::get<std::int64_t>(found->second.value));
}

// ---- Putting together

void check_training(const Recipe& recipe, const Consistency& check) {
  const TrainingOptions& training = recipe.training;
  check.require(training.updates > 0 || training.epochs > 0 || training.max_minutes_cpu > 0,
                "training.updates", "training would never end",
                "give training.updates, training.epochs or training.max_minutes_cpu");
  const bool needs_end =
      training.schedule == ScheduleKind::cosine || training.schedule == ScheduleKind::linear;
  check.require(!needs_end || training.updates > 0, "training.schedule",
                "the schedule falls towards the last update, and training.updates is 0",
                "give training.updates");
  check.require(training.minimum_rate <= training.rate, "training.minimum_rate",
                "training.minimum_rate is above training.rate", "lower it");
  check.require(training.patience == 0 || recipe_task(recipe.task).validates(recipe), "training.patience",
                "training.patience counts validations, and there is no text to validate on",
                "name one in [data]");
}

void check_lora(const Recipe& recipe, const Consistency& check) {
  check.require(recipe.lora.rank == 0 || !recipe.init.empty(), "lora.rank",
                "[lora] adapts a model, and init names none", "set init to its directory");
}

/// The model kinds that have `key`, as model.kind names them.
std::string kinds_with(const Key& key, TaskKind task) {
  std::string names;
  for (const Choice& kind : find_key(task, "model.kind")->choices)
    if (key.applies_to(static_cast<ModelKind>(kind.value)))
      names.append(names.empty() ? "" : " or ").append("\"").append(kind.name).append("\"");
  return names;
}

/// A recipe of which nothing is given but the task and, if it is not `kinds.front()`, the kind of the model.
Recipe defaults_of(const RecipeTask& task, ModelKind kind) {
  Recipe recipe;
  recipe.task = task.task;
  recipe.model.kind = kind;
  task.set_defaults(recipe);
  return recipe;
}

void apply_preset(Recipe& recipe, ModelPreset preset) {
  recipe.model.preset = preset;
  if (preset != ModelPreset::custom) recipe_task(recipe.task).set_sizes(preset, recipe.model);
}

/// The enumerator that was given for the choice `key`, or another.
template <class Enum>
Enum given_or(const GivenValues& given, const Key* key, Enum otherwise) {
  const auto found = given.find(key);
  return found == given.end() ? otherwise : static_cast<Enum>(std::get<std::int64_t>(found->second.value));
}

Recipe assemble(TaskKind kind_of_task, const GivenValues& given, const std::string& file) {
  const RecipeTask& task = recipe_task(kind_of_task);
  Recipe recipe = defaults_of(task, given_or(given, find_key(task.task, "model.kind"), task.kinds.front()));
  apply_preset(recipe, given_or(given, find_key(task.task, "model.preset"), recipe.model.preset));
  std::map<std::string, std::string, std::less<>> places;
  for (const auto& [key, value] : given) {
    if (!key->applies_to(recipe.model.kind))
      fail(value.where, key->full_name() + " is not of a model of this kind",
           "leave it out, or take model.kind = " + kinds_with(*key, task.task));
    key->set(recipe, value.value);
    places.emplace(key->full_name(), value.where);
    if (key->section == lora_section && recipe.lora.rank == 0)
      recipe.lora.rank = models::LoraOptions::usual_rank;
  }
  const Consistency consistency(std::move(places), file);
  task.check(recipe, consistency);
  check_training(recipe, consistency);
  check_lora(recipe, consistency);
  return recipe;
}

std::string read_text(const std::string& path) {
  constexpr std::size_t limit = 1 << 20;
  std::error_code error;
  if (std::filesystem::is_directory(path, error))
    fail(path, "is a directory, not a recipe", "name the .toml file");
  std::ifstream file(path, std::ios::binary);
  if (!file)
    fail(path, "cannot be read",
         "name an existing recipe; fovea train --print-recipe transformer-tiny writes one");
  std::string text(limit + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > limit) fail(path, "is larger than 1 MiB", "this is no recipe");
  return text;
}

}  // namespace

Recipe parse_recipe(std::string_view toml, const std::string& file,
                    const std::vector<std::string>& overrides) {
  const toml::table recipe = parse(toml, file);
  const TaskKind task = task_of(recipe, file, overrides);
  GivenValues given;
  add_file(task, recipe, file, given);
  for (const std::string& text : overrides) add_override(task, text, given);
  return assemble(task, given, file);
}

DType stored_type(const ModelOptions& options) {
  return options.weights == WeightType::bf16 ? DType::bf16 : DType::f32;
}

Recipe read_recipe(const std::string& path, const std::vector<std::string>& overrides) {
  Recipe recipe = parse_recipe(read_text(path), path, overrides);
  if (recipe.name.empty()) recipe.name = std::filesystem::path(path).stem().string();
  return recipe;
}

namespace {

/// A model and its size that a recipe may start from.
struct Preset {
  std::string name;
  const RecipeTask* task;
  ModelKind kind;
  ModelPreset size;
};

std::vector<Preset> presets() {
  std::vector<Preset> all;
  for (const RecipeTask& task : recipe_tasks())
    for (const Choice& kind : find_key(task.task, "model.kind")->choices)
      for (const Choice& size : find_key(task.task, "model.preset")->choices)
        if (const auto preset = static_cast<ModelPreset>(size.value); preset != ModelPreset::custom)
          all.push_back({std::string(task.prefix) + std::string(kind.name) + "-" + std::string(size.name),
                         &task, static_cast<ModelKind>(kind.value), preset});
  return all;
}

}  // namespace

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const Preset& preset : presets()) names.push_back(preset.name);
  return names;
}

Recipe preset_recipe(std::string_view name) {
  const auto all = presets();
  const auto found = std::ranges::find(all, name, &Preset::name);
  if (found == all.end()) {
    const auto names = preset_names();
    const auto near = nearest(name, names);
    std::string tiny;
    for (const auto& preset : all)
      if (preset.size == ModelPreset::tiny) tiny.append(tiny.empty() ? "" : ", ").append(preset.name);
    fail("--print-recipe", "there is no preset '" + printable(name) + "'",
         near.empty() ? "take one of " + tiny + ", or of -small, -base and -big as many"
                      : "did you mean " + std::string(near) + "?");
  }
  Recipe recipe = defaults_of(*found->task, found->kind);
  recipe.name = name;
  found->task->name_files(recipe);
  apply_preset(recipe, found->size);
  return recipe;
}

std::string to_toml(const Recipe& whole) {
  Recipe recipe = whole;
  const bool adapts = recipe.lora.rank > 0;
  if (!adapts) recipe.lora.rank = models::LoraOptions::usual_rank;
  Recipe as_preset = defaults_of(recipe_task(recipe.task), recipe.model.kind);
  apply_preset(as_preset, recipe.model.preset);
  std::string text = "# A recipe of fovea train. Paths in [data] are relative to --data.\n";
  std::string_view section;
  for (const Key& key : recipe_keys(recipe.task)) {
    if (!key.applies_to(recipe.model.kind)) continue;
    const bool absent = key.section == lora_section && !adapts;
    const bool left_out = absent || (key.from_init && !recipe.init.empty());
    if (key.section != section)
      text.append(absent ? "\n# [" : "\n[").append(section = key.section).append("]\n");
    const bool implied = key.from_preset && recipe.model.preset != ModelPreset::custom &&
                         key.get(recipe) == key.get(as_preset);
    // Sizes as comments, so that changing the preset changes them.
    std::string line = implied || left_out ? "# " : "";
    line.append(key.name).append(" = ").append(to_toml(key, key.get(recipe)));
    line.resize(std::max<std::size_t>(line.size(), 36), ' ');
    text.append(line).append("  # ").append(key.explanation);
    if (!key.choices.empty()) text.append(" (").append(key.expectation()).append(")");
    text += '\n';
  }
  return text;
}

void check_resumable(const Recipe& saved, const Recipe& recipe) {
  std::string changed;
  for (const Key& key : recipe_keys(saved.task)) {
    const Value before = key.get(saved), now = key.get(recipe);
    if (key.may_change || before == now) continue;
    changed.append(changed.empty() ? "" : ", ").append(key.full_name());
    changed.append(" (").append(to_toml(key, before)).append(" -> ").append(to_toml(key, now)).append(")");
  }
  if (!changed.empty())
    fail("--resume", "the interrupted run had another recipe: " + changed,
         "undo the change, or train anew in another folder");
}

}  // namespace fovea::training
