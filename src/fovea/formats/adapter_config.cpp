// adapter_config.json, and where what an adapter needs lies.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "fovea/formats/adapter.h"

namespace fovea::formats {
namespace {

using Path = std::filesystem::path;

bool is_there(const Path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

// null, false, "" or nothing inside: as if the key were not there.
bool says_nothing(const Json& value) {
  using Type = Json::Type;
  switch (value.type()) {
    case Type::null:
      return true;
    case Type::boolean:
      return !value.boolean();
    case Type::text:
      return value.text().empty();
    case Type::array:
    case Type::object:
      return value.size() == 0;
    default:
      return false;
  }
}

// What changes what the weights mean, and is not built here.
constexpr std::array<std::string_view, 18> unknown_ways{"use_dora",
                                                        "lora_bias",
                                                        "layer_replication",
                                                        "megatron_config",
                                                        "target_parameters",
                                                        "trainable_token_indices",
                                                        "alora_invocation_tokens",
                                                        "use_qalora",
                                                        "use_bdlora",
                                                        "arrow_config",
                                                        "kasa_config",
                                                        "velora_config",
                                                        "monteclora_config",
                                                        "loftq_config",
                                                        "eva_config",
                                                        "corda_config",
                                                        "lora_ga_config",
                                                        "ensure_weight_tying"};
// What begins with other weights of the base than those it was made of.
constexpr std::array<std::string_view, 6> changed_bases{"pissa", "olora",   "corda",
                                                        "loftq", "lora_ga", "kasa"};

void refuse_unknown_ways(const Json& config) {
  for (const auto key : unknown_ways)
    if (const auto value = config.find(key); value && !says_nothing(*value))
      value->reject("asks for a kind of adapter that is not built here",
                    "merge it in PEFT: merge_and_unload(), then save_pretrained()");
  const auto begun = config.find("init_lora_weights");
  if (!begun || begun->type() != Json::Type::text) return;
  for (const auto way : changed_bases)
    if (begun->text().starts_with(way))
      begun->reject("'" + printable(begun->text()) + "' begins by changing the base, which lies elsewhere",
                    "convert it in PEFT: save_pretrained(path_initial_model_for_weight_conversion=...)");
}

template <class Read>
std::vector<std::pair<std::string, double>> read_pattern(const Json& config, std::string_view key,
                                                         const Read& read) {
  std::vector<std::pair<std::string, double>> pattern;
  const auto object = config.find(key);
  if (!object || says_nothing(*object)) return pattern;
  for (const auto& [name, value] : object->members()) {
    // PEFT reads names as regular expressions; of these, a dot and what stands for itself are built here.
    if (name.find_first_of("^$*+?()[]{}|\\") != std::string_view::npos)
      value.reject("is a regular expression, which is not read here", "write the names of the modules");
    pattern.emplace_back(name, read(value));
  }
  return pattern;
}

const double* pattern_of(const std::vector<std::pair<std::string, double>>& patterns,
                         std::string_view module) {
  for (const auto& [name, value] : patterns)
    if (module == name || module.ends_with("." + name)) return &value;
  return nullptr;
}

}  // namespace

std::int64_t AdapterConfig::rank_of(std::string_view module) const {
  const double* other = pattern_of(ranks, module);
  return other ? static_cast<std::int64_t>(*other) : rank;
}

double AdapterConfig::scale_of(std::string_view module) const {
  const double* other = pattern_of(alphas, module);
  const auto r = static_cast<double>(rank_of(module));
  return (other ? *other : alpha) / (rank_stabilised ? std::sqrt(r) : r);
}

AdapterConfig read_adapter_config(const Json& config) {
  constexpr std::int64_t most_rank = 1 << 16;
  if (const auto kind = config.at("peft_type"); kind.text() != "LORA")
    kind.reject("an adapter of type '" + printable(kind.text()) + "'", "LORA is read");
  refuse_unknown_ways(config);
  AdapterConfig adapter;
  adapter.base = config.at("base_model_name_or_path").text();
  if (const auto task = config.find("task_type"); task && !says_nothing(*task))
    adapter.task_type = task->text();
  adapter.rank = config.integer_or("r", 8, 1, most_rank);
  adapter.alpha = config.number_or("lora_alpha", 8);
  adapter.rank_stabilised = config.boolean_or("use_rslora", false);
  adapter.input_first = config.boolean_or("fan_in_fan_out", false);
  adapter.ranks = read_pattern(config, "rank_pattern", [&](const Json& value) {
    return static_cast<double>(value.integer(1, most_rank));
  });
  adapter.alphas = read_pattern(config, "alpha_pattern", [](const Json& value) { return value.number(); });
  return adapter;
}

bool is_adapter(const Path& folder) {
  return is_there(folder / adapter_config_name) && !is_there(folder / "model.safetensors") &&
         !is_there(folder / "model.safetensors.index.json");
}

Path base_of_adapter(const Path& folder) {
  const Path config = folder / adapter_config_name;
  const auto key = read_json(config, Error::Kind::model).at("base_model_name_or_path");
  const Path named(key.text());
  for (const Path& base : {folder / named, named}) {  // an absolute one is the same in both
    if (named.empty() || !is_there(base)) continue;
    if (is_adapter(base))
      key.reject("\"" + printable(key.text()) + "\" is an adapter itself",
                 "merge that into its own base first: fovea export --merge");
    return base;
  }
  key.reject("\"" + printable(key.text()) + "\" is no folder, neither beside the adapter nor here",
             "write there where the model lies that it adapts");
}

Path papers_of(const Path& folder, std::initializer_list<std::string_view> names) {
  const bool own = std::ranges::any_of(names, [&](std::string_view name) { return is_there(folder / name); });
  return own || !is_adapter(folder) ? folder : base_of_adapter(folder);
}

Json read_config_of(const Path& folder) {
  return read_json(papers_of(folder, {"config.json"}) / "config.json", Error::Kind::model);
}

Path tokenizer_papers_of(const Path& folder) {
  return papers_of(folder, {"tokenizer.json", "source.spm", "vocab.txt", "vocab.json", "spiece.model",
                            "sentencepiece.bpe.model", "tokenizer.model", "spm.model"});
}

}  // namespace fovea::formats
