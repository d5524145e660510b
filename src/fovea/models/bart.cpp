#include "fovea/models/bart.h"

#include <algorithm>
#include <array>

#include "fovea/formats/json_writer.h"
#include "fovea/models/config_checks.h"
#include "fovea/models/fairseq_keys.h"

namespace fovea::models {
namespace {

using Family = TransformerConfig::Family;
using Norm = TransformerConfig::Norm;
using Positions = TransformerConfig::Positions;

struct FamilyTraits {
  Family family;
  std::string_view model_type, architecture;
  Norm norm;
  bool embedding_norm;
  Positions positions;
  std::int64_t position_offset;
  std::int32_t bos, pad, eos, unk;  // where config.json says nothing
};

constexpr std::array families{FamilyTraits{Family::bart, "bart", "BartForConditionalGeneration", Norm::post,
                                           true, Positions::learned, 2, 0, 1, 2, 3},
                              FamilyTraits{Family::mbart, "mbart", "MBartForConditionalGeneration", Norm::pre,
                                           true, Positions::learned, 2, 0, 1, 2, 3},
                              FamilyTraits{Family::pegasus, "pegasus", "PegasusForConditionalGeneration",
                                           Norm::pre, false, Positions::learned, 0, -1, 0, 1, 105}};

template <class Value>
const FamilyTraits* find(Value FamilyTraits::*member, const Value& value) {
  const auto found = std::ranges::find(families, value, member);
  return found == families.end() ? nullptr : &*found;
}

// Where a file does not say on what the decoder starts: BART's on </s>, mBART's on <s>, Pegasus's on <pad>.
std::int32_t usual_start(const TransformerConfig& model) {
  return model.family == Family::bart ? model.eos : model.family == Family::mbart ? model.bos : model.pad;
}

}  // namespace

bool is_bart(std::string_view model_type) { return find(&FamilyTraits::model_type, model_type) != nullptr; }

std::string bart_config_json(const TransformerConfig& config, DType weights) {
  const FamilyTraits& traits = *find(&FamilyTraits::family, config.family);
  formats::JsonWriter json;
  json.begin_object();
  write_model_type(json, traits.architecture, traits.model_type);
  write_fairseq_keys(json, config);
  write_special_tokens(json, config);
  json.field("forced_eos_token_id", config.eos);
  write_weights_type(json, weights);
  return json.end_object().finish();
}

TransformerConfig read_bart_config(const formats::Json& config) {
  const FamilyTraits& traits = *find(&FamilyTraits::model_type, config.at("model_type").text());
  TransformerConfig model;
  read_fairseq_keys(config, model);
  model.family = traits.family;
  model.norm = traits.norm;
  model.embedding_norm = traits.embedding_norm;
  model.positions = traits.positions;
  model.position_offset = traits.position_offset;
  model.bos = traits.bos;
  model.pad = traits.pad;
  model.eos = traits.eos;
  model.unk = traits.unk;
  read_special_tokens(config, model);
  if (!config.find("decoder_start_token_id")) model.start = usual_start(model);
  // What older files say of the layers too.
  expect_flag(config, "normalize_before", model.norm == Norm::pre);
  expect_flag(config, "add_final_layer_norm", model.norm == Norm::pre);
  expect_flag(config, "static_position_embeddings", model.family == Family::pegasus);
  return model;
}

}  // namespace fovea::models
