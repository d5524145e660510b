#include "fovea/models/class_names.h"

#include <array>
#include <charconv>
#include <set>
#include <utility>

#include "fovea/base/error.h"

namespace fovea::models {
namespace {

constexpr std::array problems{std::pair{"single_label_classification", Problem::single_label},
                              std::pair{"multi_label_classification", Problem::multi_label},
                              std::pair{"regression", Problem::regression}};

std::vector<std::string> read_names(const formats::Json& ids) {
  std::vector<std::string> names(ids.size());
  std::vector<bool> seen(ids.size());
  for (const auto& [key, name] : ids.members()) {
    std::size_t id = names.size();
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id >= names.size() || seen[id])
      ids.reject("'" + printable(key) + "' is not one of the ids 0 to " + std::to_string(names.size() - 1));
    names[id] = name.text();
    seen[id] = true;
  }
  return names;
}

}  // namespace

ClassNames read_class_names(const formats::Json& config) {
  ClassNames classes;
  if (const auto ids = config.find("id2label")) {
    classes.names = read_names(*ids);
    if (classes.names.empty()) ids->reject("names no class");
  } else {
    const auto count = config.integer_or("num_labels", 2, 1, 100'000);
    for (std::int64_t i = 0; i < count; ++i) classes.names.push_back("LABEL_" + std::to_string(i));
  }
  if (classes.size() == 1) classes.problem = Problem::regression;  // as Transformers takes it
  if (const auto problem = config.find("problem_type")) {
    const auto* known = std::ranges::find(problems, problem->text(), [](const auto& p) { return p.first; });
    if (known == problems.end())
      problem->reject("unknown problem '" + printable(problem->text()) + "'",
                      "known are single_label_classification, multi_label_classification, regression");
    classes.problem = known->second;
  }
  return classes;
}

void write_class_names(formats::JsonWriter& json, const ClassNames& classes) {
  json.key("id2label").begin_object();
  for (std::size_t i = 0; i < classes.names.size(); ++i) json.field(std::to_string(i), classes.names[i]);
  json.end_object().key("label2id").begin_object();
  std::set<std::string> written;
  for (std::size_t i = 0; i < classes.names.size(); ++i)
    if (written.insert(classes.names[i]).second) json.field(classes.names[i], i);
  json.end_object();
  for (const auto& [name, problem] : problems)
    if (problem == classes.problem) json.field("problem_type", name);
}

}  // namespace fovea::models
