#include "fovea/training/masked_task.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace fovea::training {
namespace {

using models::BertConfig;

BertConfig masked_config(const Recipe& recipe, const text::Tokenizer& tokenizer) {
  BertConfig config;
  if (recipe.init.empty()) {
    config = new_bert(recipe);
    config.vocabulary = tokenizer.size();
    config.pad = std::max<std::int32_t>(0, tokenizer.special().pad);
    config.family = recipe.masking.family;
    if (config.family == BertConfig::Family::distilbert) config.token_types = 0;
    if (models::is_roberta(config.family)) config.token_types = 1;
    config.max_positions += config.first_position();
  } else {
    config = pretrained_bert(recipe.init);
  }
  config.head = BertConfig::Head::masked;
  config.pooler = false;
  config.classes = {};
  return config;
}

// The encoder that the recipe starts from brings its head if that fills masks.
std::unique_ptr<models::Bert> beginning(const Recipe& recipe, const BertConfig& config,
                                        const TaskPlaces& places) {
  const bool keeps_head =
      !recipe.init.empty() && pretrained_bert(recipe.init).head == BertConfig::Head::masked;
  return beginning_bert(recipe, config, places, keeps_head);
}

}  // namespace

MaskedTask::MaskedTask(const Recipe& recipe, const TaskPlaces& places, const Notes& notes)
    : recipe_(recipe),
      text_(prepare_masked_text(recipe, places.data, given_tokenizer(recipe, places), most_tokens(recipe),
                                notes)),
      fingerprint_(text_.train.fingerprint()),
      config_(masked_config(recipe, *text_.tokenizer.tokenizer)),
      model_(beginning(recipe, config_, places)),
      masking_(masking_of(recipe, *text_.tokenizer.tokenizer)),
      batcher_(text_.train, masking_, recipe.training.batch_tokens),
      learner_(recipe.training, *model_, batcher_) {
  expect_vocabulary(*text_.tokenizer.tokenizer, model_->vocabulary());
}

Amount MaskedTask::amount() {
  return {.examples = "pieces",
          .count = text_.train.size(),
          .tokens = std::to_string(text_.train.token_count()) + " tokens of " +
                    std::to_string(text_.documents) + (text_.documents == 1 ? " document" : " documents"),
          .batches = batcher_.batches_in_epoch()};
}

FolderFiles MaskedTask::files() const {
  FolderFiles files = text_.tokenizer.files;
  files.emplace_back("config.json", models::config_json(config_, stored_type(recipe_.model)));
  return files;
}

ValidationResult MaskedTask::validate(Care, const kernels::Execution& exec) const {
  ops::Context ctx;
  ctx.exec = exec;
  data::Masking fixed = masking_;
  fixed.seed = 0;  // whatever the recipe's: runs are compared
  const auto V = static_cast<std::size_t>(model_->vocabulary());
  double nll = 0.0;
  std::int64_t masked = 0, right = 0;
  const std::int64_t count = text_.valid.size();
  for (std::int64_t i = 0; i < count;) {
    data::MaskedBatch batch;
    do {
      batch.append(text_.valid, i++, fixed, 0);
    } while (i < count &&
             std::ssize(batch.tokens) + std::ssize(text_.valid.tokens(i)) <= recipe_.training.batch_tokens);
    const Tensor logits =
        model_->token_logits(ctx, {.tokens = batch.tokens, .types = {}, .start = batch.start}, batch.rows);
    for (std::size_t r = 0; r < batch.rows.size(); ++r) {
      const std::span<const float> row(logits.f32() + r * V, V);
      nll += nll_of(row, batch.targets[r]);
      right += std::ranges::max_element(row) - row.begin() == batch.targets[r];
    }
    masked += std::ssize(batch.rows);
  }
  const auto of_masked = [&](double sum) { return sum / static_cast<double>(masked); };
  return {.loss = of_masked(nll),
          .metrics = {{&masked_accuracy_metric, of_masked(static_cast<double>(right))}},
          .by_loss = true};
}

void MaskedTask::summarise(formats::JsonWriter& json, const ValidationResult* final) const {
  json.field("documents", text_.documents).field("tokens", text_.train.token_count());
  if (final) json.field("valid_perplexity", std::exp(final->loss));
}

}  // namespace fovea::training
