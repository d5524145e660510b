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
#include "fovea/training/recipe_keys.h"

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

// ---- Unknown keys

/// The key that was probably meant: of the right name in another section, or the nearest in spelling.
std::string probable_key(const std::string& full_name) {
  const std::string name = full_name.substr(full_name.find('.') + 1);
  std::vector<std::string> names, same_section;
  const std::string section = full_name.substr(0, full_name.size() - name.size());
  for (const Key& key : recipe_keys()) {
    if (key.name == name) return key.full_name();
    names.push_back(key.full_name());
    if (key.full_name().starts_with(section)) same_section.emplace_back(key.name);
  }
  if (const auto near = nearest(name, same_section); !near.empty()) return section + std::string(near);
  return std::string(nearest(full_name, names));
}

[[noreturn]] void fail_unknown(const std::string& where, const std::string& full_name) {
  const std::string near = probable_key(full_name);
  fail(where, "unknown key '" + printable(full_name) + "'",
       near.empty() ? "fovea train --print-recipe transformer-tiny lists all keys"
                    : "did you mean " + near + "?");
}

const Key& known_key(const std::string& where, const std::string& full_name) {
  const Key* key = find_key(full_name);
  if (!key) fail_unknown(where, full_name);
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

void add_section(const toml::table& section, const std::string& section_name, const std::string& file,
                 GivenValues& given) {
  for (const auto& [name, node] : section) {
    const std::string where = position(file, node.source());
    const Key& key = known_key(where, section_name + "." + std::string(name.str()));
    given[&key] = {checked_value(key, node, where), where};
  }
}

bool is_section(std::string_view name) {
  return std::any_of(recipe_keys().begin(), recipe_keys().end(),
                     [&](const Key& key) { return key.section == name; });
}

std::string probable_section(const std::string& name) {
  std::vector<std::string> sections;
  for (const Key& key : recipe_keys())
    if (!key.section.empty()) sections.emplace_back(key.section);
  return std::string(nearest(name, sections));
}

void add_file(std::string_view text, const std::string& file, GivenValues& given) {
  toml::table recipe;
  try {
    recipe = toml::parse(text, file);
  } catch (const toml::parse_error& error) {
    fail(position(file, error.source()), std::string(error.description()));
  }
  for (const auto& [name_key, node] : recipe) {
    const std::string name(name_key.str()), where = position(file, node.source());
    if (const toml::table* section = node.as_table(); section && !find_key(name)) {
      if (is_section(name)) {
        add_section(*section, name, file, given);
        continue;
      }
      const std::string near = probable_section(name);
      fail(where, "unknown section [" + printable(name) + "]",
           near.empty() ? "there are data, tokenizer, model, recurrent, training and decoding"
                        : "did you mean [" + near + "]?");
    }
    const Key& key = known_key(where, name);
    given[&key] = {checked_value(key, node, where), where};
  }
}

/// "section.key=value"; the value as TOML writes it, except that quotes around a text may be left out.
void add_override(const std::string& text, GivenValues& given) {
  const std::string where = "--set " + printable(text);
  const auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0) fail(where, "is not of the form section.key=value");
  const Key& key = known_key(where, text.substr(0, equals));
  const std::string right = text.substr(equals + 1);
  const bool bare_text = (key.type == ValueType::text || key.type == ValueType::choice) &&
                         !right.starts_with('"') && !right.starts_with('\'');
  if (bare_text) {
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

// ---- Keys that depend on each other

/// Says of a contradiction where the first of its keys was given.
class Consistency {
 public:
  Consistency(const GivenValues& given, const std::string& file) : given_(given), file_(file) {}

  bool has(const char* key) const { return given_.contains(find_key(key)); }

  void require(bool holds, const char* key, const std::string& what, const std::string& remedy) const {
    if (holds) return;
    const auto found = given_.find(find_key(key));
    fail(found == given_.end() ? file_ : found->second.where, what, remedy);
  }

 private:
  const GivenValues& given_;
  const std::string& file_;
};

void check_dictionaries(const DataOptions& data, const Consistency& check) {
  check.require(data.train_source.empty() && data.train_tsv.empty() && data.valid_source.empty() &&
                    data.valid_tsv.empty(),
                "data.train_dictionary", "stands beside other text", "give one kind of data");
  check.require(data.valid_dictionary.empty() || data.valid_share == 0, "data.valid_share",
                "data.valid_share stands beside data.valid_dictionary", "give one of them");
}

void check_data(const Recipe& recipe, const Consistency& check) {
  const DataOptions& data = recipe.data;
  check.require(data.train_source.empty() == data.train_target.empty(),
                data.train_source.empty() ? "data.train_target" : "data.train_source",
                "data.train_source and data.train_target go together", "give both, or data.train_tsv");
  check.require(data.valid_source.empty() == data.valid_target.empty(),
                data.valid_source.empty() ? "data.valid_target" : "data.valid_source",
                "data.valid_source and data.valid_target go together", "give both, or data.valid_tsv");
  if (!data.train_dictionary.empty()) return check_dictionaries(data, check);
  check.require(
      data.train_source.empty() != data.train_tsv.empty(), "data.train_tsv",
      data.train_tsv.empty() ? "names no training text" : "data.train_tsv stands beside data.train_source",
      "give data.train_source and data.train_target, or data.train_tsv");
  check.require(data.valid_source.empty() || data.valid_tsv.empty(), "data.valid_tsv",
                "data.valid_tsv stands beside data.valid_source", "give one of them");
  check.require(data.valid_dictionary.empty() && data.valid_share == 0,
                data.valid_dictionary.empty() ? "data.valid_share" : "data.valid_dictionary",
                "is of words and their pronunciations", "give data.train_dictionary too, or leave it out");
  check.require(data.tsv_columns[0] != data.tsv_columns[1], "data.tsv_columns",
                "data.tsv_columns names the same column twice",
                "name those of source and target, such as [1, 2]");
}

void check_model(const Recipe& recipe, const Consistency& check) {
  const ModelOptions& model = recipe.model;
  const bool transformer = model.kind == ModelKind::transformer;
  for (const char* key :
       {"model.encoder_layers", "model.decoder_layers", "model.width", "model.feed_forward", "model.heads"})
    check.require(
        model.preset != ModelPreset::custom || check.has(key) || !find_key(key)->applies_to(model.kind),
        "model.preset", std::string("model.preset custom needs ") + key, "add it");
  check.require(!transformer || (model.key_width && model.value_width) || model.width % model.heads == 0,
                "model.heads",
                "model.width " + std::to_string(model.width) + " is no multiple of model.heads " +
                    std::to_string(model.heads),
                "change one of them, or give model.key_width and model.value_width");
  check.require(!transformer || model.positions != PositionKind::sinusoidal || model.width % 2 == 0,
                "model.width", "sinusoidal positions need an even model.width",
                "or take positions = \"learned\"");
  check.require(recipe.tokenizer.joint || !model.tie_source_target, "model.tie_source_target",
                "separate vocabularies cannot share an embedding",
                "set model.tie_source_target = false, or tokenizer.joint = true");
  check.require(!recipe.tokenizer.joint || recipe.tokenizer.target_kind == TokenizerKind::as_source,
                "tokenizer.target_kind", "one vocabulary for both languages has one kind of pieces",
                "set tokenizer.joint = false, or leave it out");
}

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
  const bool validates = !recipe.data.valid_source.empty() || !recipe.data.valid_tsv.empty() ||
                         !recipe.data.valid_dictionary.empty() || recipe.data.valid_share > 0;
  check.require(training.patience == 0 || validates, "training.patience",
                "training.patience counts validations, and there is no text to validate on",
                "give data.valid_source and data.valid_target, or data.valid_tsv");
}

void check_decoding(const Recipe& recipe, const Consistency& check) {
  const DecodingOptions& decoding = recipe.decoding;
  const models::GenerationDefaults none;
  check.require(decoding.beam % decoding.num_beam_groups == 0, "decoding.num_beam_groups",
                "decoding.num_beam_groups " + std::to_string(decoding.num_beam_groups) +
                    " does not divide decoding.beam " + std::to_string(decoding.beam),
                "change one of them");
  check.require(decoding.do_sample || decoding.nbest <= decoding.beam, "decoding.num_return_sequences",
                "decoding.num_return_sequences is more than decoding.beam, " + std::to_string(decoding.beam),
                "widen the beam, or set decoding.do_sample = true");
  check.require(decoding.max_length == 0 || decoding.min_length < decoding.max_length, "decoding.min_length",
                "decoding.min_length leaves no room below decoding.max_length", "lower it");
  const std::string remedy = "set decoding.do_sample = true, or leave it out";
  const auto only_drawn = [&](bool neutral, const char* key) {
    check.require(decoding.do_sample || neutral, key,
                  std::string(key) + " counts only where tokens are drawn", remedy);
  };
  only_drawn(decoding.temperature == none.temperature, "decoding.temperature");
  only_drawn(decoding.top_k == none.top_k, "decoding.top_k");
  only_drawn(decoding.top_p == none.top_p, "decoding.top_p");
  only_drawn(decoding.min_p == none.min_p, "decoding.min_p");
}

Recipe assemble(const GivenValues& given, const std::string& file) {
  Recipe recipe;
  if (const auto kind = given.find(find_key("model.kind")); kind != given.end())
    kind->first->set(recipe, kind->second.value);
  const auto preset = given.find(find_key("model.preset"));
  apply_preset(preset == given.end() ? recipe.model.preset
                                     : static_cast<ModelPreset>(std::get<std::int64_t>(preset->second.value)),
               recipe.model);
  for (const auto& [key, value] : given)
    if (!key->applies_to(recipe.model.kind))
      fail(value.where, key->full_name() + " is not of a model of this kind",
           recipe.model.kind == ModelKind::recurrent ? "leave it out, or take model.kind = \"transformer\""
                                                     : "leave it out, or take model.kind = \"recurrent\"");
  for (const auto& [key, value] : given) key->set(recipe, value.value);
  const Consistency check(given, file);
  check_data(recipe, check);
  check_model(recipe, check);
  check_training(recipe, check);
  check_decoding(recipe, check);
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
  GivenValues given;
  add_file(toml, file, given);
  for (const std::string& text : overrides) add_override(text, given);
  return assemble(given, file);
}

DType stored_type(const ModelOptions& options) {
  return options.weights == WeightType::bf16 ? DType::bf16 : DType::f32;
}

Recipe read_recipe(const std::string& path, const std::vector<std::string>& overrides) {
  Recipe recipe = parse_recipe(read_text(path), path, overrides);
  if (recipe.name.empty()) recipe.name = std::filesystem::path(path).stem().string();
  return recipe;
}

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const Choice& choice : find_key("model.preset")->choices)
    if (choice.name != "custom") names.push_back("transformer-" + std::string(choice.name));
  for (std::size_t i = 0, sizes = names.size(); i < sizes; ++i)
    names.push_back("recurrent" + names[i].substr(names[i].find('-')));
  return names;
}

Recipe preset_recipe(std::string_view name) {
  const auto names = preset_names();
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) {
    const auto near = nearest(name, names);
    fail("--print-recipe", "there is no preset '" + printable(name) + "'",
         near.empty() ? "take one of transformer-tiny, -small, -base, -big, or of recurrent- as many"
                      : "did you mean " + std::string(near) + "?");
  }
  Recipe recipe;
  recipe.name = name;
  recipe.data.train_source = "train.source";
  recipe.data.train_target = "train.target";
  recipe.data.valid_source = "valid.source";
  recipe.data.valid_target = "valid.target";
  const auto sizes = std::ssize(names) / 2;
  if (found - names.begin() >= sizes) recipe.model.kind = ModelKind::recurrent;
  apply_preset(static_cast<ModelPreset>((found - names.begin()) % sizes), recipe.model);
  return recipe;
}

std::string to_toml(const Recipe& recipe) {
  Recipe as_preset;
  as_preset.model.kind = recipe.model.kind;
  apply_preset(recipe.model.preset, as_preset.model);
  std::string text = "# A recipe of fovea train. Paths in [data] are relative to --data.\n";
  std::string_view section;
  for (const Key& key : recipe_keys()) {
    if (!key.applies_to(recipe.model.kind)) continue;
    if (key.section != section) text.append("\n[").append(section = key.section).append("]\n");
    const bool implied = key.from_preset && recipe.model.preset != ModelPreset::custom &&
                         key.get(recipe) == key.get(as_preset);
    std::string line = implied ? "# " : "";  // so that changing the preset changes the sizes
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
  for (const Key& key : recipe_keys()) {
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
