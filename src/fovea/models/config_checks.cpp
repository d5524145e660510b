#include "fovea/models/config_checks.h"

namespace fovea::models {
namespace {

constexpr std::int64_t largest = 4'000'000;

}  // namespace

void ConfigChecks::require(bool good, const std::string& what, const std::string& remedy) const {
  if (!good) throw Error(kind, where, what, remedy);
}

void ConfigChecks::within(std::int64_t value, std::int64_t least, std::int64_t most, const char* name) const {
  require(value >= least && value <= most, std::string(name) + " is " + std::to_string(value) +
                                               ", must be from " + std::to_string(least) + " to " +
                                               std::to_string(most));
}

void ConfigChecks::shares(std::initializer_list<float> dropouts) const {
  for (const float p : dropouts) require(p >= 0.0f && p < 1.0f, "a dropout is not in [0, 1)");
}

void ConfigChecks::tokens(const std::vector<std::int32_t>& ids, std::int64_t vocabulary) const {
  for (const std::int32_t id : ids)
    require(id >= 0 && id < vocabulary, "special token " + std::to_string(id) + " is outside the vocabulary");
}

float share_of(const formats::Json& config, std::string_view key, double otherwise) {
  return static_cast<float>(config.number_or(key, otherwise, 0.0, 0.999));
}

std::vector<std::int32_t> token_ids(const formats::Json& config, std::string_view key) {
  const auto value = config.find(key);
  std::vector<std::int32_t> ids;
  if (!value) return ids;
  const auto add = [&](const formats::Json& id) {
    ids.push_back(static_cast<std::int32_t>(id.integer(0, largest)));
  };
  if (!value->is_array())
    add(*value);
  else
    for (const auto& id : value->elements()) add(id);
  return ids;
}

std::optional<std::int32_t> first_token_id(const formats::Json& config, std::string_view key) {
  const auto ids = token_ids(config, key);
  return ids.empty() ? std::nullopt : std::optional(ids.front());
}

void expect_flag(const formats::Json& config, std::string_view key, bool value) {
  if (config.boolean_or(key, value) != value)
    config.at(key).reject(value ? "false is not supported" : "true is not supported");
}

void write_special_tokens(formats::JsonWriter& json, const std::optional<std::int32_t>& bos,
                          const std::vector<std::int32_t>& eos) {
  json.key("bos_token_id");
  if (bos)
    json.value(*bos);
  else
    json.null();
  json.key("eos_token_id");
  if (eos.empty()) {
    json.null();
  } else if (eos.size() == 1) {
    json.value(eos.front());
  } else {
    json.begin_array();
    for (const auto id : eos) json.value(id);
    json.end_array();
  }
}

}  // namespace fovea::models
