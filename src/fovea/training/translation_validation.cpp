#include "fovea/training/translation_validation.h"

#include <optional>

#include "fovea/metrics/bleu.h"
#include "fovea/metrics/error_rate.h"
#include "fovea/metrics/rouge.h"
#include "fovea/training/model_config.h"

namespace fovea::training {
namespace {

double mean_loss(const models::TranslationModel& model, const data::TokenCorpus& pairs,
                 const kernels::Execution& exec) {
  const auto vocabulary = model.vocabulary();
  data::Batcher batcher(
      pairs,
      {.batch_tokens = 4096, .shuffle = false, .eos = vocabulary.eos, .decoder_start = vocabulary.start});
  ops::Context ctx;
  ctx.exec = exec;
  ops::LossSums sums;
  for (std::int64_t left = batcher.batches_in_epoch(); left > 0; --left) {
    const data::Batch batch = batcher.next();
    const auto part = model.loss(
        ctx, {batch.source, batch.source_start, batch.target_in, batch.target_out, batch.target_start}, 0.0f,
        1.0f);
    sums.nll += part.nll;
    sums.tokens += part.tokens;
  }
  return sums.nll / static_cast<double>(sums.tokens);
}

}  // namespace

ValidationResult validate_translation(const models::TranslationModel& model, const Corpus& corpus,
                                      const Recipe& recipe, std::int64_t beam,
                                      const kernels::Execution& exec) {
  ValidationResult result;
  result.loss = mean_loss(model, corpus.valid, exec);
  if (beam <= 0) return result;
  const decoding::Translator translator(model, corpus.tokenizer, exec);
  const auto translate = [&](const std::vector<std::string>& source) {
    std::vector<std::string> hypotheses;
    auto options = translate_options(recipe.decoding, beam);
    options.max_source_tokens = recipe.data.max_source_tokens;
    for (const auto& translation : translator.translate(source, options))
      hypotheses.push_back(translation.text());
    return hypotheses;
  };
  if (recipe.training.validate_metric == ValidMetric::bleu) {
    const auto bleu = metrics::corpus_bleu(translate(corpus.valid_source), {corpus.valid_target});
    result.metrics = {{&bleu_metric, bleu.score}};
    return result;
  }
  if (recipe.training.validate_metric == ValidMetric::rouge) {
    const auto rouge =
        metrics::corpus_rouge(translate(corpus.valid_source), {corpus.valid_target}, {.stemmer = true});
    result.metrics = {
        {&rougeL_metric, rouge.rougeL.f}, {&rouge1_metric, rouge.rouge1.f}, {&rouge2_metric, rouge.rouge2.f}};
    return result;
  }
  const auto grouped = metrics::group_by_source(corpus.valid_source, corpus.valid_target);
  const auto errors = metrics::error_rate(translate(grouped.sources), grouped.references);
  result.metrics = {{&sequence_error_metric, errors.sequence_rate()},
                    {&symbol_error_metric, errors.symbol_rate()}};
  return result;
}

}  // namespace fovea::training
