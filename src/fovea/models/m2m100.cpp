#include "fovea/models/m2m100.h"

#include "fovea/formats/json_writer.h"
#include "fovea/models/fairseq_keys.h"

namespace fovea::models {

bool is_m2m100(std::string_view model_type) { return model_type == "m2m_100"; }

std::string m2m100_config_json(const TransformerConfig& config, DType weights) {
  formats::JsonWriter json;
  json.begin_object();
  write_model_type(json, "M2M100ForConditionalGeneration", "m2m_100");
  write_fairseq_keys(json, config);
  write_special_tokens(json, config);
  write_weights_type(json, weights);
  return json.end_object().finish();
}

TransformerConfig read_m2m100_config(const formats::Json& config) {
  TransformerConfig model;
  read_fairseq_keys(config, model);
  model.family = TransformerConfig::Family::m2m100;
  model.norm = TransformerConfig::Norm::pre;
  model.positions = TransformerConfig::Positions::fairseq;
  model.bos = 0;
  model.pad = 1;
  model.eos = model.start = 2;
  model.unk = 3;
  read_special_tokens(config, model);
  return model;
}

}  // namespace fovea::models
