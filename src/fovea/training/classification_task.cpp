#include "fovea/training/classification_task.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "fovea/formats/adapter.h"
#include "fovea/metrics/classification.h"
#include "fovea/training/adaptation.h"
#include "fovea/training/encoder_parts.h"

namespace fovea::training {
namespace {

using models::BertConfig;
using models::ClassifierConfig;

models::RecurrentClassifierConfig recurrent_config(const Recipe& recipe) {
  const auto or_width = [&](std::int64_t width) { return width > 0 ? width : recipe.model.width; };
  models::RecurrentClassifierConfig config;
  config.embedding = or_width(recipe.recurrent.embedding);
  config.cell = recipe.recurrent.cell;
  config.layers = recipe.model.encoder_layers;
  config.bidirectional = recipe.recurrent.bidirectional;
  config.width = recipe.model.width;
  config.pooling = recipe.classification.pooling;
  config.attention_width = or_width(recipe.recurrent.attention_width);
  config.max_tokens = recipe.model.max_positions;
  config.embedding_dropout = static_cast<float>(recipe.classification.embedding_dropout);
  config.dropout = static_cast<float>(recipe.model.dropout);
  config.classifier_dropout = static_cast<float>(recipe.classification.classifier_dropout);
  config.variational = recipe.recurrent.variational_dropout;
  return config;
}

BertConfig new_text_bert(const Recipe& recipe) {
  BertConfig config = new_bert(recipe);
  config.head = BertConfig::Head::text;
  config.pooler = true;
  return config;
}

// A pretrained encoder gets a head for these classes.
ClassifierConfig with_classes(ClassifierConfig config, std::vector<std::string> names) {
  if (auto* bert = std::get_if<BertConfig>(&config)) {
    bert->head = BertConfig::Head::text;
    bert->pooler = bert->family == BertConfig::Family::bert;
  }
  std::visit(
      [&](auto& family) {
        family.classes = {std::move(names), models::Problem::single_label};
      },
      config);
  return config;
}

ClassifierConfig classifier_config(const Recipe& recipe, const ClassificationCorpus& corpus) {
  if (!recipe.init.empty()) return with_classes(pretrained_config(recipe.init), corpus.labels.names());
  ClassifierConfig config = recipe.model.kind == ModelKind::recurrent
                                ? ClassifierConfig(recurrent_config(recipe))
                                : ClassifierConfig(new_text_bert(recipe));
  std::visit([&](auto& family) { family.vocabulary = corpus.tokenizer.tokenizer->size(); }, config);
  return with_classes(std::move(config), corpus.labels.names());
}

// Modules of the head, which are learned whole beside adapters: the last layer, what stands before it, and a
// pooler that the pretrained model does not have.
std::vector<std::string> head_modules(const models::TextClassifier& model) {
  std::vector<std::string> modules{"classifier"};
  for (const auto& parameter : model.parameters().all()) {
    if (parameter.name.starts_with("pre_classifier.") && modules.size() == 1)
      modules.emplace_back("pre_classifier");
    if (parameter.name.find("pooler.dense.weight") != std::string::npos && !parameter.value.defined())
      modules.emplace_back("pooler");
  }
  return modules;
}

// The model at its beginning: random, or with the encoder that the recipe starts from, and with the head of
// that, too, if it has one for the same classes.
std::unique_ptr<models::TextClassifier> beginning(const Recipe& recipe, const ClassifierConfig& config,
                                                  const TaskPlaces& places) {
  std::visit([](const auto& family) { validate(family, Error::Kind::usage, "recipe"); }, config);
  auto model = adapts(recipe)
                   ? models::declare_classifier(config)
                   : models::make_classifier(config, static_cast<std::uint64_t>(recipe.training.seed));
  if (recipe.init.empty() || !(places.from_beginning || adapts(recipe))) return model;
  const auto weights = formats::Weights::open(recipe.init);
  const ClassifierConfig before = pretrained_config(recipe.init);
  const auto* bert = std::get_if<BertConfig>(&before);
  if (!bert || (bert->head == BertConfig::Head::text && bert->classes == model->classes()))
    model->read_weights(weights);
  else
    dynamic_cast<models::Bert&>(*model).read_pretrained(weights);
  if (adapts(recipe)) adapt(*model, recipe, head_modules(*model));
  return model;
}

ClassificationLearner::Words words_of(const text::Tokenizer& tokenizer) {
  const auto& ids = tokenizer.special();
  ClassificationLearner::Words words;
  words.unknown = ids.unk >= 0 ? ids.unk : ids.mask;
  for (const auto id : {ids.bos, ids.eos, ids.sep, ids.pad, ids.cls, ids.mask})
    if (id >= 0) words.special.push_back(id);
  return words;
}

}  // namespace

ClassificationTask::ClassificationTask(const Recipe& recipe, const TaskPlaces& places, const Notes& notes)
    : recipe_(recipe),
      corpus_(prepare_classification(recipe, places.data, given_tokenizer(recipe, places),
                                     most_tokens(recipe), notes)),
      fingerprint_(corpus_.train.fingerprint()),
      config_(classifier_config(recipe, corpus_)),
      model_(beginning(recipe, config_, places)),
      batcher_(corpus_.train, recipe.training.batch_tokens, static_cast<std::uint64_t>(recipe.training.seed)),
      learner_(recipe, *model_, batcher_, words_of(*corpus_.tokenizer.tokenizer)) {
  expect_vocabulary(*corpus_.tokenizer.tokenizer, model_->vocabulary());
}

Amount ClassificationTask::amount() {
  return {.examples = "texts",
          .count = corpus_.train.size(),
          .tokens = std::to_string(corpus_.train.token_count()) + " tokens",
          .batches = batcher_.batches_in_epoch()};
}

FolderFiles ClassificationTask::files() const {
  FolderFiles files = corpus_.tokenizer.files;
  files.emplace_back("config.json", models::config_json(config_, stored_type(recipe_.model)));
  add_adapter_config(files, recipe_, *model_, "SEQ_CLS");
  return files;
}

ValidationResult ClassificationTask::validate(Care, const kernels::Execution& exec) const {
  ops::Context ctx;
  ctx.exec = exec;
  const std::int64_t C = corpus_.labels.size(), count = corpus_.valid.size();
  metrics::ConfusionMatrix matrix(C);
  double nll = 0.0;
  for (std::int64_t begin = 0; begin < count;) {
    data::LabelledBatch batch;
    std::int64_t end = begin;
    while (end < count && (end == begin || std::ssize(batch.tokens) + std::ssize(corpus_.valid.tokens(end)) <=
                                               recipe_.training.batch_tokens))
      batch.append(corpus_.valid, end++);
    const Tensor logits = model_->logits(ctx, {batch.tokens, batch.types, batch.start});
    for (std::int64_t b = 0; b < end - begin; ++b) {
      const std::span<const float> row(logits.f32() + b * C, static_cast<std::size_t>(C));
      const std::int32_t label = batch.labels[static_cast<std::size_t>(b)];
      nll += nll_of(row, label);
      matrix.add(label, std::ranges::max_element(row) - row.begin());
    }
    begin = end;
  }
  return {.loss = nll / static_cast<double>(count),
          .metrics = {{&accuracy_metric, metrics::classification_scores(matrix).accuracy}}};
}

void ClassificationTask::summarise(formats::JsonWriter& json, const ValidationResult* /*final*/) const {
  json.field("texts", corpus_.train.size()).field("classes", corpus_.labels.size());
}

}  // namespace fovea::training
