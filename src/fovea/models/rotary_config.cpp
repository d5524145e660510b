#include "fovea/models/rotary_config.h"

#include <algorithm>

#include "fovea/base/error.h"

namespace fovea::models {
namespace {

using attention::RotaryRule;
using attention::RotaryScaling;
using attention::RotarySettings;
using formats::Json;

constexpr std::int64_t most_tokens = std::int64_t{1} << 40;
constexpr double most = 1e12;

std::string_view name_of(RotaryRule rule) {
  switch (rule) {
    case RotaryRule::none:
      return "default";
    case RotaryRule::linear:
      return "linear";
    case RotaryRule::ntk:
      return "ntk";
    case RotaryRule::dynamic:
      return "dynamic";
    case RotaryRule::yarn:
      return "yarn";
    case RotaryRule::llama3:
      return "llama3";
  }
  throw Error(Error::Kind::bug, "config.json", "a rule of rotary positions has no name");
}

RotaryScaling read_scaling(const Json& config, const Json& rope) {
  RotaryScaling scaling;
  const auto type = rope.has("rope_type") ? rope.find("rope_type") : rope.find("type");
  if (type) scaling.rule = attention::rotary_rule(type->text());
  if (scaling.rule == RotaryRule::none) return scaling;
  scaling.factor = rope.at("factor").number(0.0, most);
  const std::int64_t positions = config.integer_or("max_position_embeddings", 2048, 1, most_tokens);
  // The dynamic rule goes by the other key alone, in transformers.
  scaling.original_length =
      scaling.rule == RotaryRule::dynamic
          ? positions
          : rope.integer_or("original_max_position_embeddings", positions, 1, most_tokens);
  scaling.beta_fast = rope.number_or("beta_fast", 32.0, 0.0, most);
  scaling.beta_slow = rope.number_or("beta_slow", 1.0, 0.0, most);
  scaling.truncate = rope.boolean_or("truncate", true);
  scaling.attention_factor = rope.number_or("attention_factor", 0.0, 0.0, most);
  scaling.mscale = rope.number_or("mscale", 0.0, 0.0, most);
  scaling.mscale_all_widths = rope.number_or("mscale_all_dim", 0.0, 0.0, most);
  scaling.low_frequency = rope.number_or("low_freq_factor", 1.0, 0.0, most);
  scaling.high_frequency = rope.number_or("high_freq_factor", 4.0, 0.0, most);
  return scaling;
}

}  // namespace

RotarySettings read_rotary(const Json& config, std::int64_t head_width) {
  const auto parameters = config.find("rope_parameters"), scaling = config.find("rope_scaling");
  const Json& theta_in = parameters && parameters->has("rope_theta") ? *parameters : config;
  const Json& share_in = parameters && parameters->has("partial_rotary_factor") ? *parameters : config;
  RotarySettings settings;
  const double share = share_in.number_or("partial_rotary_factor", 1.0, 0.0, 1.0);
  settings.rotated = static_cast<std::int64_t>(static_cast<double>(head_width) * share);
  settings.theta = theta_in.number_or("rope_theta", 10000.0, 1.0, most);
  if (parameters || scaling) settings.scaling = read_scaling(config, parameters ? *parameters : *scaling);
  attention::rotary_frequencies(settings, 1);  // throws if it cannot be
  return settings;
}

void write_rotary(formats::JsonWriter& json, const RotarySettings& settings) {
  const RotaryScaling& s = settings.scaling;
  json.field("rope_theta", settings.theta);
  if (s.rule == RotaryRule::none) return;
  json.key("rope_scaling").begin_object().field("rope_type", name_of(s.rule)).field("factor", s.factor);
  json.field("original_max_position_embeddings", s.original_length);
  if (s.rule == RotaryRule::llama3)
    json.field("low_freq_factor", s.low_frequency).field("high_freq_factor", s.high_frequency);
  if (s.rule == RotaryRule::yarn) {
    json.field("beta_fast", s.beta_fast).field("beta_slow", s.beta_slow).field("truncate", s.truncate);
    if (s.attention_factor != 0.0) json.field("attention_factor", s.attention_factor);
    if (s.mscale != 0.0) json.field("mscale", s.mscale);
    if (s.mscale_all_widths != 0.0) json.field("mscale_all_dim", s.mscale_all_widths);
  }
  json.end_object();
}

}  // namespace fovea::models
