#include "fovea/models/lora.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "fovea/base/error.h"
#include "fovea/base/nearest.h"
#include "fovea/formats/adapter.h"
#include "fovea/formats/json_writer.h"

namespace fovea::models {
namespace {

constexpr std::string_view all_linear = "all-linear";
constexpr std::string_view weight = ".weight";
// Where adapters draw what they drop: apart from modules, which count from site::first_module.
constexpr std::uint32_t first_site = 1'000'000;

// What is adapted where nobody says otherwise: as PEFT's TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING
// has it, and for families that it has not, as their like.
struct Usual {
  std::string_view model_type;
  std::vector<std::string> targets;
};

const std::vector<Usual>& usual_targets() {
  static const std::vector<Usual> table = [] {
    std::vector<Usual> rows{{"gpt2", {"c_attn"}}, {"distilbert", {"q_lin", "v_lin"}}};
    for (const char* type : {"bert", "roberta", "xlm-roberta"}) rows.push_back({type, {"query", "value"}});
    for (const char* type : {"t5", "mt5"}) rows.push_back({type, {"q", "v"}});
    for (const char* type :
         {"llama", "mistral", "qwen2", "marian", "fovea-transformer", "bart", "mbart", "pegasus", "m2m_100"})
      rows.push_back({type, {"q_proj", "v_proj"}});
    return rows;
  }();
  return table;
}

// Whether PEFT's target, or modules_to_save, `end` means the module.
bool ends_in(std::string_view module, std::string_view end) {
  return module == end || (module.ends_with(end) && module[module.size() - end.size() - 1] == '.');
}

// The last parts of a module's name, `count` of them.
std::string last_parts(const std::string& module, std::size_t count) {
  std::size_t at = module.size();
  while (count-- > 0 && at != std::string::npos && at > 0) at = module.rfind('.', at - 1);
  return at == std::string::npos || at == 0 ? module : module.substr(at + 1);
}

void write_texts(formats::JsonWriter& json, const char* key, const std::vector<std::string>& texts) {
  json.key(key);
  if (texts.empty()) {
    json.null();
    return;
  }
  json.begin_array();
  for (const auto& text : texts) json.value(text);
  json.end_array();
}

// As torch.nn.init.kaiming_uniform_(a = sqrt(5)) begins a matrix of that many inputs.
nn::Initial kaiming(std::int64_t in) {
  return nn::Initial::uniform(1.0f / std::sqrt(static_cast<float>(in)));
}

}  // namespace

Lora::Lora(Model& model, std::string_view model_type, const LoraOptions& options,
           std::vector<std::string> saved, std::uint64_t seed, std::string_view where)
    : options_(options), saved_(std::move(saved)) {
  std::vector<Site> found = sites(model);
  choose_targets(found, model_type, where);
  write_targets(found);
  struct Bound {
    const Site* site;
    nn::Parameter *A, *B;
  };
  std::vector<Bound> bound;
  for (const Site& site : found) {
    if (!site.adapted) continue;
    const std::string name = std::string(formats::adapter_prefix) + site.module;
    const std::int64_t in = site.parameter->shape[1];
    bound.push_back(
        {&site, parameters_.add(name + ".lora_A.weight", {options.rank, in}, kaiming(in)),
         parameters_.add(name + ".lora_B.weight", {site.rows, options.rank}, nn::Initial::zeros())});
    input_first_ = input_first_ || site.parameter->input_first;
  }
  add_saved(model);
  parameters_.allocate(seed);
  parameters_.allocate_gradients();
  const auto r = static_cast<double>(options.rank);
  const auto scale = static_cast<float>(options.alpha / (options.rank_stabilised ? std::sqrt(r) : r));
  std::uint32_t number = first_site;
  for (const auto& [site, A, B] : bound)
    site->parameter->adapters.push_back(
        {A->value, B->value, site->first, scale, {static_cast<float>(options.dropout), number++}});
  for (nn::Parameter& parameter : model.parameters().all()) {
    if (!is_saved(parameter.name)) continue;
    const auto own = std::ranges::find(
        parameters_.all(), std::string(formats::adapter_prefix) + parameter.name, &nn::Parameter::name);
    if (parameter.value.defined()) std::ranges::copy(parameter.value.values(), own->value.f32());
    parameter.value = own->value;
  }
}

bool Lora::is_saved(std::string_view name) const {
  if (name.empty()) return false;  // of parts: no module of a head is
  const std::string within = "." + std::string(name);
  return std::ranges::any_of(saved_, [&](const std::string& module) {
    return within.find("." + module + ".") != std::string::npos;
  });
}

std::vector<Lora::Site> Lora::sites(Model& model) const {
  std::vector<Site> sites;
  for (nn::Parameter& parameter : model.parameters().all()) {
    if (!parameter.multiplies) continue;
    std::vector<nn::NamedRows> parts = parameter.parts;
    if (parts.empty()) parts.push_back({parameter.name, parameter.shape[0]});
    std::int64_t first = 0;
    for (const auto& part : parts) {
      std::string module = part.name.substr(0, part.name.size() - weight.size());
      const bool adapted = parameter.adaptable && !is_saved(part.name);
      sites.push_back({&parameter, std::move(module), first, part.rows, adapted});
      first += part.rows;
    }
  }
  return sites;
}

// Leaves `adapted` set for what options_.targets names.
void Lora::choose_targets(std::vector<Site>& sites, std::string_view model_type, std::string_view where) {
  const auto usual = std::ranges::find(usual_targets(), model_type, &Usual::model_type);
  if (usual == usual_targets().end())
    throw Error(Error::Kind::usage, where,
                "a model of type '" + printable(model_type) + "' takes no adapters", "train it whole");
  targets_ = options_.targets.empty() ? usual->targets : options_.targets;
  if (targets_ == std::vector{std::string(all_linear)}) return;
  std::vector<std::string> ends;
  for (const Site& site : sites)
    if (site.adapted) ends.push_back(last_parts(site.module, 1));
  for (const auto& target : targets_) {
    const auto named = [&](const Site& site) { return ends_in(site.module, target); };
    if (std::ranges::any_of(sites, [&](const Site& site) { return site.adapted && named(site); })) continue;
    const bool whole = std::ranges::any_of(sites, named);
    const auto near = nearest(target, ends);
    throw Error(Error::Kind::usage, where,
                "the model has no module '" + printable(target) + "' that takes an adapter",
                whole          ? "it is the output layer, or learned whole: leave it out"
                : near.empty() ? "see fovea inspect --tensors"
                               : "did you mean " + std::string(near) + "?");
  }
  for (Site& site : sites)
    site.adapted = site.adapted && std::ranges::any_of(targets_, [&](const std::string& target) {
                     return ends_in(site.module, target);
                   });
}

// How adapter_config.json names the targets: by ends of names that mean no module which is not adapted.
void Lora::write_targets(const std::vector<Site>& sites) {
  std::set<std::string> ends;
  for (const Site& site : sites) {
    if (!site.adapted) continue;
    std::string end;
    for (std::size_t count = 1; end != site.module; ++count) {
      end = last_parts(site.module, count);
      if (std::ranges::none_of(
              sites, [&](const Site& other) { return !other.adapted && ends_in(other.module, end); }))
        break;
    }
    ends.insert(std::move(end));
  }
  targets_.assign(ends.begin(), ends.end());
}

void Lora::add_saved(Model& model) {
  for (const nn::Parameter& parameter : model.parameters().all()) {
    if (is_saved(parameter.name))
      parameters_.add(std::string(formats::adapter_prefix) + parameter.name, parameter.shape,
                      parameter.initial);
    else if (!parameter.value.defined())
      throw Error(Error::Kind::bug, parameter.name, "has no values, and is not learned whole");
  }
}

std::string Lora::config_json(std::string_view base, std::string_view task_type) const {
  formats::JsonWriter json;
  json.begin_object();
  json.key("auto_mapping").null();
  json.field("base_model_name_or_path", base).field("bias", "none").field("fan_in_fan_out", input_first_);
  json.field("inference_mode", true).field("init_lora_weights", true);
  json.key("lora_alpha");
  const auto whole = static_cast<std::int64_t>(options_.alpha);  // as PEFT, for which it is an integer
  static_cast<double>(whole) == options_.alpha ? json.value(whole) : json.value(options_.alpha);
  json.field("lora_dropout", options_.dropout);
  write_texts(json, "modules_to_save", saved_);
  json.field("peft_type", "LORA").field("r", options_.rank);
  write_texts(json, "target_modules", targets_);
  json.field("task_type", task_type).field("use_dora", false).field("use_rslora", options_.rank_stabilised);
  return json.end_object().finish();
}

}  // namespace fovea::models
