#include "fovea/decoding/translator.h"

#include <utility>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/decoding/jobs.h"
#include "fovea/decoding/line_codec.h"
#include "fovea/decoding/translation_decoder.h"

namespace fovea::decoding {
namespace {

void expect_vocabulary(const char* side, std::int64_t tokens, std::int64_t rows) {
  if (tokens <= rows) return;
  throw Error(Error::Kind::model, side,
              "the tokenizer knows " + std::to_string(tokens) + " pieces, the model " + std::to_string(rows),
              "do tokenizer and model belong together?");
}

void expect_specials(const text::Vocabulary& vocabulary, const models::TranslationVocabulary& model,
                     const char* side) {
  if (vocabulary.eos() == model.eos && vocabulary.pad() == model.pad) return;
  throw Error(Error::Kind::model, side,
              "</s> and <pad> are " + std::to_string(vocabulary.eos()) + " and " +
                  std::to_string(vocabulary.pad()) + ", but config.json says " + std::to_string(model.eos) +
                  " and " + std::to_string(model.pad),
              "do tokenizer and model belong together?");
}

void expect_shortlist(const models::Shortlist& shortlist, const text::TranslationTokenizer& tokenizer) {
  if (shortlist.source_vocabulary() == tokenizer.source_vocabulary().size() &&
      shortlist.target_vocabulary() == tokenizer.target_vocabulary().size())
    return;
  throw Error(Error::Kind::usage, "shortlist", "was made for other vocabularies than this model's",
              "make one for this model");
}

// The search that is asked for. `first`: the token of the language wanted, which every translation begins
// with, whatever else was to; -1: none.
BeamOptions search_options(const TranslateOptions& options, std::int32_t first) {
  BeamOptions beam = options.beam;
  if (first >= 0) {
    std::erase_if(beam.processors, [](const auto& processor) { return processor->forced().has_value(); });
    beam.processors.push_back(std::make_shared<ForceFirst>(first));
  }
  beam.attention = beam.attention || options.replace_unknown;
  options.add_to(beam);
  return beam;
}

}  // namespace

Translator::Translator(const models::TranslationModel& model, const text::TranslationTokenizer& tokenizer,
                       Crew& crew)
    : models_{&model}, tokenizer_(tokenizer), crew_(crew), max_positions_(model.max_positions()) {
  expect_tokenizer();
}

Translator::Translator(const models::TranslationModel& model, const text::TranslationTokenizer& tokenizer,
                       const kernels::Execution& exec)
    : models_{&model},
      tokenizer_(tokenizer),
      own_crew_(std::make_unique<Crew>(exec)),
      crew_(*own_crew_),
      max_positions_(model.max_positions()) {
  expect_tokenizer();
}

Translator::Translator(std::span<const std::unique_ptr<models::TranslationModel>> models,
                       const text::TranslationTokenizer& tokenizer, Crew& crew, Ensemble::Mean mean)
    : tokenizer_(tokenizer), crew_(crew), mean_(mean) {
  for (const auto& model : models) models_.push_back(model.get());
  max_positions_ = decoder(crew.together())->most_steps({});
  expect_tokenizer();
}

void Translator::expect_tokenizer() const {
  expect_vocabulary("source vocabulary", tokenizer_.source_vocabulary().size(), model().vocabulary().source);
  expect_vocabulary("target vocabulary", tokenizer_.target_vocabulary().size(), model().vocabulary().target);
  expect_specials(tokenizer_.source_vocabulary(), model().vocabulary(), "source vocabulary");
  expect_specials(tokenizer_.target_vocabulary(), model().vocabulary(), "target vocabulary");
}

// Where the decoder starts on the language itself nothing is left to be said.
std::int32_t Translator::first_target() const {
  return tokenizer_.first_target() == model().vocabulary().start ? -1 : tokenizer_.first_target();
}

// The models as the search sees them.
std::unique_ptr<const StepModel> Translator::decoder(const kernels::Execution& exec) const {
  if (models_.size() == 1) return std::make_unique<TranslationDecoder>(*models_.front(), exec);
  std::vector<std::unique_ptr<const StepModel>> decoders;
  for (const auto* model : models_) decoders.push_back(std::make_unique<TranslationDecoder>(*model, exec));
  return std::make_unique<Ensemble>(std::move(decoders), mean_);
}

bool Translator::translate(const Next& next, const Deliver& deliver, const TranslateOptions& options) const {
  if (options.shortlist) expect_shortlist(*options.shortlist, tokenizer_);
  const LineCodec codec(tokenizer_, max_positions_, options);
  std::uint64_t number = options.first_line;
  const auto next_job = [&]() -> std::unique_ptr<Job> {
    auto line = next();
    return line ? codec.encode(std::move(*line), number++) : nullptr;
  };
  const auto deliver_job = [&](std::unique_ptr<Job> job) { deliver(codec.decode(*job)); };
  return search_jobs(
      crew_, [this](const kernels::Execution& exec) { return decoder(exec); }, next_job, deliver_job,
      search_options(options, first_target()), options.batches);
}

std::vector<Translation> Translator::translate(std::span<const std::string> lines,
                                               const TranslateOptions& options,
                                               std::span<const std::string> prefixes) const {
  if (!prefixes.empty() && prefixes.size() != lines.size())
    throw Error(Error::Kind::usage, "prefixes",
                std::to_string(prefixes.size()) + " for " + std::to_string(lines.size()) + " lines",
                "give one a line");
  std::size_t given = 0;
  const auto next = [&]() -> std::optional<Line> {
    if (given == lines.size()) return {};
    Line line{lines[given], prefixes.empty() ? std::string() : prefixes[given]};
    ++given;
    return line;
  };
  std::vector<Translation> translations;
  translate(
      next, [&](Translation translation) { translations.push_back(std::move(translation)); }, options);
  return translations;
}

}  // namespace fovea::decoding
