#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "fovea/decoding/crew.h"
#include "fovea/decoding/ensemble.h"
#include "fovea/decoding/translation.h"
#include "fovea/models/translation_model.h"
#include "fovea/text/translation_tokenizer.h"

namespace fovea::decoding {

/// Lines of text in, lines of text out, in order, as many as came. A line without anything to translate gives
/// an empty one. What a line becomes depends neither on the others nor on threads and workers. Thread-safe:
/// callers share the crew.
class Translator {
 public:
  /// All must outlive the translator. Throws Error(model) if tokenizer and model disagree on the
  /// vocabulary: more pieces than the model has rows, or other ids for `</s>` and `<pad>`.
  Translator(const models::TranslationModel& model, const text::TranslationTokenizer& tokenizer, Crew& crew);
  /// With one worker, the threads of an execution.
  Translator(const models::TranslationModel& model, const text::TranslationTokenizer& tokenizer,
             const kernels::Execution& exec);
  /// Several models of one tokenizer as one; the first is model().
  Translator(std::span<const std::unique_ptr<models::TranslationModel>> models,
             const text::TranslationTokenizer& tokenizer, Crew& crew,
             Ensemble::Mean mean = Ensemble::Mean::log_probabilities);

  /// The next line, or none after the last; asked for in the midst of work: it must not wait for long.
  using Next = std::function<std::optional<Line>()>;
  /// Takes translations in the order of their lines.
  using Deliver = std::function<void(Translation)>;

  /// Translates the lines that `next` gives until it gives none; memory does not grow with their number, and
  /// batches stay full. See search_jobs() of decoding/jobs.h for who calls the two and what an exception
  /// does. Returns whether it went to the end: not if options.beam.cancelled became true; what was delivered
  /// then are the first lines. BeamOptions::on_token counts lines as sentences if none has several parts.
  /// Neither function may call the translator.
  bool translate(const Next& next, const Deliver& deliver, const TranslateOptions& options = {}) const;

  /// The same for lines that are all there. `prefixes`, if any, hold for each line the text that its
  /// translation begins with (pieces of it as the tokenizer cuts it). Of what was cancelled the first lines
  /// are returned, as many as were through.
  std::vector<Translation> translate(std::span<const std::string> lines, const TranslateOptions& options = {},
                                     std::span<const std::string> prefixes = {}) const;

  const models::TranslationModel& model() const { return *models_.front(); }
  const text::TranslationTokenizer& tokenizer() const { return tokenizer_; }
  std::int64_t max_positions() const { return max_positions_; }  ///< of the model that takes fewest

 private:
  void expect_tokenizer() const;
  std::int32_t first_target() const;
  std::unique_ptr<const StepModel> decoder(const kernels::Execution& exec) const;

  std::vector<const models::TranslationModel*> models_;
  const text::TranslationTokenizer& tokenizer_;
  std::unique_ptr<Crew> own_crew_;
  Crew& crew_;
  Ensemble::Mean mean_ = Ensemble::Mean::log_probabilities;
  std::int64_t max_positions_;
};

}  // namespace fovea::decoding
