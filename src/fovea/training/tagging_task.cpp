#include "fovea/training/tagging_task.h"

#include <algorithm>
#include <utility>

#include "fovea/decoding/word_tagger.h"
#include "fovea/metrics/entities.h"
#include "fovea/training/adaptation.h"

namespace fovea::training {
namespace {

using models::BertConfig;

BertConfig tagger_config(const Recipe& recipe, const TaggingCorpus& corpus) {
  BertConfig config;
  if (recipe.init.empty()) {
    config = new_bert(recipe);
    config.vocabulary = corpus.tokenizer.tokenizer->size();
  } else {
    config = pretrained_bert(recipe.init);
  }
  config.head = BertConfig::Head::token;
  config.pooler = false;
  config.classes = {corpus.labels.names(), models::Problem::single_label};
  return config;
}

// The encoder that the recipe starts from brings its head if that is for the same labels.
std::unique_ptr<models::Bert> beginning(const Recipe& recipe, const BertConfig& config,
                                        const TaskPlaces& places) {
  bool keeps_head = false;
  if (!recipe.init.empty()) {
    const BertConfig before = pretrained_bert(recipe.init);
    keeps_head = before.head == BertConfig::Head::token && before.classes == config.classes;
  }
  auto model = beginning_bert(recipe, config, places, keeps_head);
  if (adapts(recipe)) adapt(*model, recipe, {"classifier"});
  return model;
}

}  // namespace

TaggingTask::TaggingTask(const Recipe& recipe, const TaskPlaces& places, const Notes& notes)
    : recipe_(recipe),
      corpus_(
          prepare_tagging(recipe, places.data, given_tokenizer(recipe, places), most_tokens(recipe), notes)),
      of_entities_(metrics::are_entity_labels(corpus_.labels.names())),
      fingerprint_(corpus_.train.fingerprint()),
      config_(tagger_config(recipe, corpus_)),
      model_(beginning(recipe, config_, places)),
      batcher_(corpus_.train, recipe.training.batch_tokens, static_cast<std::uint64_t>(recipe.training.seed)),
      learner_(recipe.training, *model_, batcher_) {
  expect_vocabulary(*corpus_.tokenizer.tokenizer, model_->vocabulary());
}

Amount TaggingTask::amount() {
  return {.examples = "sentences",
          .count = corpus_.train.size(),
          .tokens = std::to_string(corpus_.train.token_count()) + " tokens of " +
                    std::to_string(corpus_.train.word_count()) + " words",
          .batches = batcher_.batches_in_epoch()};
}

FolderFiles TaggingTask::files() const {
  FolderFiles files = corpus_.tokenizer.files;
  files.emplace_back("config.json", models::config_json(config_, stored_type(recipe_.model)));
  add_adapter_config(files, recipe_, *model_, "TOKEN_CLS");
  return files;
}

ValidationResult TaggingTask::validate(Care, const kernels::Execution& exec) const {
  ops::Context ctx;
  ctx.exec = exec;
  const auto& names = corpus_.labels.names();
  metrics::EntityCounter entities(metrics::EntityMode::lenient, metrics::scheme_of(names));
  double nll = 0.0;
  std::int64_t words = 0, predicted = 0, right = 0;
  std::vector<std::string> gold, found;  // of a sentence
  decoding::for_each_word(
      ctx, *model_, corpus_.valid,
      [&](std::int32_t label, std::span<const float> logits, bool is_last) {
        gold.push_back(names[static_cast<std::size_t>(label)]);
        found.emplace_back("O");  // what is said of a word without a token
        if (!logits.empty()) {
          found.back() = names[static_cast<std::size_t>(std::ranges::max_element(logits) - logits.begin())];
          nll += nll_of(logits, label);
          ++predicted;
        }
        ++words;
        right += found.back() == gold.back();
        if (!is_last) return;
        if (of_entities_) entities.add(gold, found);
        gold.clear();
        found.clear();
      },
      recipe_.training.batch_tokens);
  ValidationResult result{.loss = nll / static_cast<double>(predicted)};
  if (of_entities_) {
    const auto score = entities.scores().micro;
    result.metrics = {{&entity_f1_metric, score.f1},
                      {&entity_precision_metric, score.precision},
                      {&entity_recall_metric, score.recall}};
  }
  result.metrics.push_back({&accuracy_metric, static_cast<double>(right) / static_cast<double>(words)});
  return result;
}

void TaggingTask::summarise(formats::JsonWriter& json, const ValidationResult* /*final*/) const {
  json.field("sentences", corpus_.train.size()).field("labels", corpus_.labels.size());
}

}  // namespace fovea::training
