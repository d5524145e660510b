#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "fovea/base/dtype.h"
#include "fovea/base/error.h"
#include "fovea/formats/json.h"
#include "fovea/kernels/activation.h"
#include "fovea/models/text_classifier.h"

namespace fovea::models {

/// What a BERT, or a family of its shape, is made of.
struct BertConfig {
  /// distilbert has no token types and no pooler; roberta and xlm_roberta number positions from the padding
  /// token's id + 1. Names of keys and tensors are each family's own.
  enum class Family { bert, distilbert, roberta, xlm_roberta };
  /// What is made of the states: nothing; a class of the text; one of each token; the token behind a mask.
  enum class Head { none, text, token, masked };

  Family family = Family::bert;
  Head head = Head::none;
  bool pooler = false;  ///< tanh layer over the first state; always there for bert's head text
  std::int64_t vocabulary = 30522;
  std::int64_t max_positions = 512;  ///< rows of the table
  std::int64_t token_types = 2;      ///< 0: there are none
  std::int64_t width = 768;          ///< D
  std::int64_t layers = 12;
  std::int64_t heads = 12;  ///< H, divides D
  std::int64_t feed_forward = 3072;
  kernels::Activation activation = kernels::Activation::gelu;
  float norm_eps = 1e-12f;
  float dropout = 0.1f, attention_dropout = 0.1f;
  float classifier_dropout = 0.1f;
  float deviation = 0.02f;  ///< of embeddings at their beginning
  bool tie_output = true;   ///< head masked: the output layer is the embedding
  std::int32_t pad = 0;
  ClassNames classes = {};

  /// Where positions begin in their table.
  std::int32_t first_position() const;
  /// Tokens that a text may have.
  std::int64_t max_tokens() const { return max_positions - first_position(); }
};

/// RoBERTa, or XLM-RoBERTa.
bool is_roberta(BertConfig::Family family);
/// What config.json calls it.
std::string_view model_type_of(BertConfig::Family family);
/// Whether `model_type` names one of the families.
bool is_bert(std::string_view model_type);

/// Sets every dropout to 0: two models that then agree are of one architecture.
void clear_dropout(BertConfig& config);
/// Throws Error(kind) naming `where` and the first thing in `config` that cannot be built.
void validate(const BertConfig& config, Error::Kind kind, std::string_view where);
/// How many numbers such a model learns.
double parameter_count(const BertConfig& config);
/// config.json, as Transformers reads it.
std::string config_json(const BertConfig& config, DType weights);
/// What a config.json describes; its head by `architectures`, without it none. Throws Error(model) naming
/// file and key: missing, of a wrong type or out of range, or not built here.
BertConfig read_bert_config(const formats::Json& config);

/// How a family names its tensors: a layer's part is prefix, layer, its number, part, ".weight" or ".bias".
struct BertNames {
  std::string_view prefix;  ///< of all but heads
  std::string_view layer;
  std::string_view query, key, value, attention_out, attention_norm, inner, outer, output_norm;
};
const BertNames& names_of(BertConfig::Family family);

}  // namespace fovea::models
