#include "fovea/models/bert_config.h"

#include <array>

#include "fovea/formats/json_writer.h"
#include "fovea/models/activation_names.h"
#include "fovea/models/class_names.h"
#include "fovea/models/config_checks.h"

namespace fovea::models {
namespace {

using Family = BertConfig::Family;
using Head = BertConfig::Head;
using formats::Json;

struct FamilyFacts {
  Family family;
  std::string_view type, class_name;  // model_type, and what architectures begin with
};
constexpr std::array families{FamilyFacts{Family::bert, "bert", "Bert"},
                              FamilyFacts{Family::distilbert, "distilbert", "DistilBert"},
                              FamilyFacts{Family::roberta, "roberta", "Roberta"},
                              FamilyFacts{Family::xlm_roberta, "xlm-roberta", "XLMRoberta"}};

const FamilyFacts& facts_of(Family family) { return families.at(static_cast<std::size_t>(family)); }

constexpr std::array head_names{
    std::pair{Head::none, "Model"}, std::pair{Head::text, "ForSequenceClassification"},
    std::pair{Head::token, "ForTokenClassification"}, std::pair{Head::masked, "ForMaskedLM"}};

// The keys by which a family calls the same things.
struct Keys {
  const char *width, *layers, *heads, *feed_forward, *activation, *dropout, *attention_dropout,
      *classifier_dropout;
};
constexpr Keys bert_keys{
    "hidden_size", "num_hidden_layers",   "num_attention_heads",          "intermediate_size",
    "hidden_act",  "hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"};
constexpr Keys distilbert_keys{"dim",        "n_layers", "n_heads",           "hidden_dim",
                               "activation", "dropout",  "attention_dropout", "seq_classif_dropout"};

const Keys& keys_of(Family family) { return family == Family::distilbert ? distilbert_keys : bert_keys; }

constexpr BertNames bert_names{"bert.",
                               "encoder.layer.",
                               ".attention.self.query",
                               ".attention.self.key",
                               ".attention.self.value",
                               ".attention.output.dense",
                               ".attention.output.LayerNorm",
                               ".intermediate.dense",
                               ".output.dense",
                               ".output.LayerNorm"};
constexpr BertNames distilbert_names{
    "distilbert.",        "transformer.layer.", ".attention.q_lin", ".attention.k_lin", ".attention.v_lin",
    ".attention.out_lin", ".sa_layer_norm",     ".ffn.lin1",        ".ffn.lin2",        ".output_layer_norm"};

Head head_in(const Json& config) {
  const auto listed = config.find("architectures");
  if (!listed || listed->size() == 0) return Head::none;
  const Json first = *listed->elements().begin();
  if (first.text().ends_with("ForPreTraining")) return Head::masked;
  for (const auto& [head, name] : head_names)
    if (first.text().ends_with(name)) return head;
  first.reject("'" + printable(first.text()) + "' has a head that is not built here",
               "there are ForSequenceClassification, ForTokenClassification, ForMaskedLM and Model");
}

void read_dropouts(const Json& config, const Keys& keys, BertConfig& model) {
  model.dropout = share_of(config, keys.dropout, 0.1);
  model.attention_dropout = share_of(config, keys.attention_dropout, 0.1);
  const bool distilled = model.family == Family::distilbert;
  // DistilBERT drops before a token's class as everywhere, before a text's by a share of its own.
  if (distilled && model.head == Head::token)
    model.classifier_dropout = model.dropout;
  else
    model.classifier_dropout = share_of(config, keys.classifier_dropout, distilled ? 0.2 : model.dropout);
}

void refuse_variants(const Json& config) {
  for (const char* key : {"is_decoder", "add_cross_attention"}) expect_flag(config, key, false);
  if (const auto kind = config.find("position_embedding_type"); kind && kind->text() != "absolute")
    kind->reject("positions '" + printable(kind->text()) + "' are not built here", "absolute ones are");
}

}  // namespace

bool is_roberta(Family family) { return family == Family::roberta || family == Family::xlm_roberta; }

std::int32_t BertConfig::first_position() const { return is_roberta(family) ? pad + 1 : 0; }

std::string_view model_type_of(Family family) { return facts_of(family).type; }

bool is_bert(std::string_view model_type) {
  return std::ranges::any_of(families, [&](const auto& facts) { return facts.type == model_type; });
}

const BertNames& names_of(Family family) {
  static constexpr BertNames roberta_names = [] {
    BertNames names = bert_names;
    names.prefix = "roberta.";
    return names;
  }();
  if (is_roberta(family)) return roberta_names;
  return family == Family::distilbert ? distilbert_names : bert_names;
}

void validate(const BertConfig& config, Error::Kind kind, std::string_view where) {
  const ConfigChecks expect{kind, where};
  expect.within(config.vocabulary, 2, 4'000'000, "vocabulary");
  expect.within(config.max_positions, 1, 1 << 20, "number of positions");
  expect.within(config.token_types, 0, 1024, "number of token types");
  expect.within(config.width, 1, 65536, "width");
  expect.within(config.layers, 1, 1000, "number of layers");
  expect.within(config.heads, 1, 1024, "number of heads");
  expect.within(config.feed_forward, 1, 1 << 20, "feed-forward width");
  expect.require(config.width % config.heads == 0, "width " + std::to_string(config.width) +
                                                       " is not a multiple of " +
                                                       std::to_string(config.heads) + " heads");
  expect.shares({config.dropout, config.attention_dropout, config.classifier_dropout});
  expect.tokens({config.pad}, config.vocabulary);
  expect.require(config.max_tokens() >= 1, "there are no positions behind those of the padding token");
  const bool classifies = config.head == Head::text || config.head == Head::token;
  expect.require(!classifies || config.classes.size() >= 1, "a classifier needs classes");
}

double parameter_count(const BertConfig& config) {
  const auto D = static_cast<double>(config.width), F = static_cast<double>(config.feed_forward);
  const auto V = static_cast<double>(config.vocabulary), C = static_cast<double>(config.classes.size());
  const double tables = (V + static_cast<double>(config.max_positions + config.token_types)) * D + 2 * D;
  const double layer = 4 * (D + 1) * D + (D + 1) * F + (F + 1) * D + 4 * D;
  double head = config.pooler ? (D + 1) * D : 0.0;
  if (config.head == Head::text) head += (D + 1) * C + (config.family == Family::bert ? 0 : (D + 1) * D);
  if (config.head == Head::token) head += (D + 1) * C;
  if (config.head == Head::masked) head += (D + 1) * D + 2 * D + V + (config.tie_output ? 0 : V * D);
  return tables + static_cast<double>(config.layers) * layer + head;
}

void clear_dropout(BertConfig& config) {
  config.dropout = config.attention_dropout = config.classifier_dropout = 0.0f;
}

std::string config_json(const BertConfig& config, DType weights) {
  const auto& facts = facts_of(config.family);
  const Keys& keys = keys_of(config.family);
  const std::string_view head = head_names.at(static_cast<std::size_t>(config.head)).second;
  formats::JsonWriter json;
  json.begin_object();
  json.key("architectures")
      .begin_array()
      .value(std::string(facts.class_name) + std::string(head))
      .end_array();
  json.field("model_type", facts.type)
      .field("vocab_size", config.vocabulary)
      .field("max_position_embeddings", config.max_positions)
      .field(keys.width, config.width)
      .field(keys.layers, config.layers)
      .field(keys.heads, config.heads)
      .field(keys.feed_forward, config.feed_forward)
      .field(keys.activation, activation_name(config.activation))
      .field(keys.dropout, config.dropout)
      .field(keys.attention_dropout, config.attention_dropout)
      .field(keys.classifier_dropout, config.classifier_dropout)
      .field("initializer_range", config.deviation)
      .field("pad_token_id", config.pad)
      .field("tie_word_embeddings", config.tie_output);
  if (config.family != Family::distilbert)
    json.field("type_vocab_size", config.token_types)
        .field("layer_norm_eps", static_cast<double>(config.norm_eps))
        .field("position_embedding_type", "absolute");
  if (config.classes.size() > 0) write_class_names(json, config.classes);
  json.field("torch_dtype", weights == DType::bf16 ? "bfloat16" : "float32");
  return json.end_object().finish();
}

BertConfig read_bert_config(const Json& config) {
  const Json type = config.at("model_type");
  if (!is_bert(type.text()))
    type.reject("a model of type '" + printable(type.text()) + "'",
                "encoders are bert, distilbert, roberta and xlm-roberta");
  BertConfig model;
  model.family = std::ranges::find(families, type.text(), &FamilyFacts::type)->family;
  const bool distilled = model.family == Family::distilbert, is_robertas = is_roberta(model.family);
  const Keys& keys = keys_of(model.family);
  refuse_variants(config);
  model.head = head_in(config);
  model.pooler = model.family == Family::bert && model.head == Head::text;
  model.vocabulary = config.at("vocab_size").integer(2, 4'000'000);
  model.max_positions = config.integer_or("max_position_embeddings", 512, 1, 1 << 20);
  model.token_types = distilled ? 0 : config.integer_or("type_vocab_size", 2, 1, 1024);
  model.width = config.integer_or(keys.width, 768, 1, 65536);
  model.layers = config.integer_or(keys.layers, distilled ? 6 : 12, 1, 1000);
  model.heads = config.integer_or(keys.heads, 12, 1, 1024);
  model.feed_forward = config.integer_or(keys.feed_forward, 3072, 1, 1 << 20);
  if (const auto name = config.find(keys.activation)) model.activation = activation_of(*name);
  if (!distilled) model.norm_eps = static_cast<float>(config.number_or("layer_norm_eps", 1e-12, 0.0, 1.0));
  read_dropouts(config, keys, model);
  model.deviation = static_cast<float>(config.number_or("initializer_range", 0.02, 0.0, 10.0));
  model.tie_output = config.boolean_or("tie_word_embeddings", true);
  model.pad = static_cast<std::int32_t>(
      config.integer_or("pad_token_id", is_robertas ? 1 : 0, 0, model.vocabulary - 1));
  if (model.head == Head::text || model.head == Head::token) model.classes = read_class_names(config);
  validate(model, Error::Kind::model, "config.json");
  return model;
}

}  // namespace fovea::models
