#include "fovea/models/recurrent_classifier.h"

#include <algorithm>

#include "fovea/formats/json_writer.h"
#include "fovea/models/class_names.h"
#include "fovea/models/config_checks.h"
#include "fovea/models/recurrent_config.h"
#include "fovea/models/weights_on_disk.h"
#include "fovea/ops/dropout.h"

namespace fovea::models {
namespace {

using Pooling = RecurrentClassifierConfig::Pooling;

// The mean of the rows of each text: attention that finds all alike.
Tensor mean_of(const ops::Context& ctx, const Tensor& h_ND,
               const std::shared_ptr<const ops::Sequences>& texts) {
  const std::int64_t B = texts->size();
  auto queries = std::make_shared<ops::Sequences>();
  for (std::int64_t b = 0; b < B; ++b) {
    queries->start.push_back(b);
    queries->count.push_back(1);
  }
  const Tensor query = Tensor::zeros({B, 1}), keys = Tensor::zeros({h_ND.dim(0), 1});
  return ops::attention(ctx, {query, 0}, {keys, 0}, {h_ND, 0}, queries, texts,
                        {.key_width = 1, .value_width = h_ND.dim(1), .scale = 1.0f, .dropping = {}});
}

}  // namespace

void validate(const RecurrentClassifierConfig& config, Error::Kind kind, std::string_view where) {
  const ConfigChecks expect{kind, where};
  expect.within(config.vocabulary, 2, 4'000'000, "vocabulary");
  expect.within(config.embedding, 1, 65536, "embedding width");
  expect.within(config.layers, 0, 100, "number of layers");
  expect.within(config.width, 1, 65536, "width");
  expect.within(config.attention_width, 1, 65536, "attention width");
  expect.within(config.max_tokens, 1, 1 << 20, "number of tokens");
  expect.shares({config.embedding_dropout, config.dropout, config.classifier_dropout});
  expect.require(config.classes.size() >= 1, "a classifier needs classes");
}

double parameter_count(const RecurrentClassifierConfig& config) {
  return static_cast<double>(RecurrentClassifier(config, Declared{}).parameters().count());
}

void clear_dropout(RecurrentClassifierConfig& config) {
  config.embedding_dropout = config.dropout = config.classifier_dropout = 0.0f;
}

std::string config_json(const RecurrentClassifierConfig& config, DType weights) {
  formats::JsonWriter json;
  json.begin_object();
  json.key("architectures").begin_array().value("FoveaRecurrentClassifier").end_array();
  json.field("model_type", recurrent_classifier_type)
      .field("vocab_size", config.vocabulary)
      .field("embedding_size", config.embedding)
      .field("cell", name_of(config.cell))
      .field("layers", config.layers)
      .field("bidirectional", config.bidirectional)
      .field("hidden_size", config.width)
      .field("pooling", config.pooling == Pooling::attention ? "attention" : "mean")
      .field("attention_width", config.attention_width)
      .field("max_position_embeddings", config.max_tokens)
      .field("embedding_dropout", config.embedding_dropout)
      .field("dropout", config.dropout)
      .field("classifier_dropout", config.classifier_dropout)
      .field("variational_dropout", config.variational);
  write_class_names(json, config.classes);
  json.field("torch_dtype", weights == DType::bf16 ? "bfloat16" : "float32");
  return json.end_object().finish();
}

RecurrentClassifierConfig read_recurrent_classifier_config(const formats::Json& config) {
  RecurrentClassifierConfig model;
  model.vocabulary = config.at("vocab_size").integer(2, 4'000'000);
  model.embedding = config.at("embedding_size").integer(1, 65536);
  const auto cell = config.at("cell");
  if (cell.text() != "gru" && cell.text() != "lstm")
    cell.reject("unknown cell '" + printable(cell.text()) + "'", "known are gru, lstm");
  model.cell = cell.text() == "gru" ? nn::Recurrence::gru : nn::Recurrence::lstm;
  model.layers = config.at("layers").integer(0, 100);
  model.bidirectional = config.at("bidirectional").boolean();
  model.width = config.at("hidden_size").integer(1, 65536);
  const auto pooling = config.at("pooling");
  if (pooling.text() != "attention" && pooling.text() != "mean")
    pooling.reject("unknown pooling '" + printable(pooling.text()) + "'", "known are attention, mean");
  model.pooling = pooling.text() == "attention" ? Pooling::attention : Pooling::mean;
  model.attention_width = config.at("attention_width").integer(1, 65536);
  model.max_tokens = config.at("max_position_embeddings").integer(1, 1 << 20);
  model.embedding_dropout = share_of(config, "embedding_dropout");
  model.dropout = share_of(config, "dropout");
  model.classifier_dropout = share_of(config, "classifier_dropout");
  model.variational = config.boolean_or("variational_dropout", false);
  model.classes = read_class_names(config);
  validate(model, Error::Kind::model, "config.json");
  return model;
}

RecurrentClassifier::RecurrentClassifier(const RecurrentClassifierConfig& config, std::uint64_t seed)
    : RecurrentClassifier(config, Declared{}) {
  parameters_.allocate(seed);
}

RecurrentClassifier::RecurrentClassifier(const RecurrentClassifierConfig& config, Declared)
    : config_(config) {
  validate(config, Error::Kind::bug, "recurrent classifier");
  nn::Builder builder(parameters_);
  words_ =
      parameters_.add("embeddings.weight", {config.vocabulary, config.embedding}, nn::Initial::normal(0.1f));
  words_->looked_up = true;
  embedding_dropping_ = {config.embedding_dropout, builder.next_site()};
  state_dropping_ = {config.dropout, builder.next_site()};
  classifier_dropping_ = {config.classifier_dropout, builder.next_site()};
  if (config.layers > 0)
    recurrent_.emplace(builder, "encoder",
                       nn::RecurrentOptions{.cell = config.cell,
                                            .input = config.embedding,
                                            .hidden = config.width,
                                            .layers = config.layers,
                                            .bidirectional = config.bidirectional,
                                            .dropout = config.dropout,
                                            .variational = config.variational,
                                            .state_dropout = config.variational ? config.dropout : 0.0f});
  const std::int64_t D = config.state_width(), C = config.classes.size();
  if (config.pooling == Pooling::attention)
    attention_.emplace(builder, "attention", D, config.attention_width);
  nn::Parameter* weight = parameters_.add("classifier.weight", {C, D}, nn::Initial::xavier(D, C));
  weight->multiplies = true;
  output_ = {weight, parameters_.add("classifier.bias", {C}, nn::Initial::zeros())};
}

void RecurrentClassifier::read_weights(const formats::Weights& file, const Packing* packing) {
  packed_non_finite_ = read_parameters(file, parameters_, packing);
}

Tensor RecurrentClassifier::summary(const ops::Context& ctx, const TextBatch& batch) const {
  const auto texts = ops::Sequences::packed(batch.start);
  Tensor h = nn::embed(ctx, batch.tokens, *words_, 1.0f, {}, {}, embedding_dropping_);
  if (recurrent_) h = ops::dropout(ctx, (*recurrent_)(ctx, h, texts).h_NC, state_dropping_);
  const Tensor s = attention_ ? (*attention_)(ctx, h, texts, pooling_place) : mean_of(ctx, h, texts);
  return ops::dropout(ctx, s, classifier_dropping_);
}

}  // namespace fovea::models
