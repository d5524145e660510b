#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "fovea/decoding/beam_search.h"
#include "fovea/decoding/ensemble.h"
#include "fovea/decoding/translation_decoder.h"
#include "fovea/text/translation_tokenizer.h"

namespace fovea::decoding {

struct TranslateOptions {
  BeamOptions beam{};
  BatchLimits batches{};
  /// A line of more tokens is cut into sentences or parts of them, translated one by one and joined. Models
  /// are trained on sentences: what is much longer than those comes out badly.
  std::int64_t max_tokens = 128;
  /// What the model says is `<unk>` becomes the word of the source that it looked at most (Jean et al. 2015,
  /// Luong et al. 2015b): for names and numbers that its pieces cannot spell. See decoding/unknown.h.
  bool replace_unknown = false;
  double repetition_penalty = 1.0;   ///< decoding/logit_processor.h; 1: none
  std::int64_t no_repeat_ngram = 0;  ///< no so many tokens in a row occur twice; 0: off
  /// Sequences of tokens that no translation holds.
  std::vector<std::vector<std::int32_t>> suppressed = {};
  /// The number of the first line, for sampling: what is drawn for a line depends on its number, not on the
  /// lines that it is translated with.
  std::uint64_t first_line = 0;
};

/// A translation of a line, one of its n best.
struct Candidate {
  std::string text;    ///< one line: where the model spelt a line end or NUL byte there is a space
  double score = 0.0;  ///< as Hypothesis::score; of a cut line, the mean over its parts
  std::vector<std::int32_t> tokens;  ///< ids; empty for a cut line, as are the next two
  /// Of each token and, if the translation is complete, of the end of sentence; nats.
  std::vector<float> token_log_probabilities = {};
  /// [those tokens, source] where the model looked as it wrote each; empty unless BeamOptions::attention.
  std::vector<float> attention = {};
};

struct Translation {
  std::vector<Candidate> candidates;  ///< best first; at least one
  std::vector<std::int32_t> source;   ///< ids of the line with eos; empty if it was cut or empty
  std::size_t parts = 1;              ///< more than one: the line was cut
  bool complete = true;               ///< false: some part was ended at the greatest length

  const std::string& text() const { return candidates.front().text; }
};

/// Lines of text in, lines of text out, in order, as many as came. A line without anything to translate gives
/// an empty one. What a line becomes does not depend on the others. Thread-safe for different executions
/// only.
class Translator {
 public:
  /// All must outlive the translator. Throws Error(model) if tokenizer and model disagree on the
  /// vocabulary: more pieces than the model has rows, or other ids for `</s>` and `<pad>`.
  Translator(const models::TranslationModel& model, const text::TranslationTokenizer& tokenizer,
             const kernels::Execution& exec);

  /// Several models of one tokenizer as one; the first is model().
  Translator(std::span<const std::unique_ptr<models::TranslationModel>> models,
             const text::TranslationTokenizer& tokenizer, const kernels::Execution& exec,
             Ensemble::Mean mean = Ensemble::Mean::log_probabilities);

  /// `prefixes`, if any, hold for each line the text that its translation begins with (pieces of it as the
  /// tokenizer cuts it; of a line in parts the first part). If options.beam.cancelled becomes true, what is
  /// returned are the first lines, as many as were through. BeamOptions::on_token counts lines as sentences
  /// if none has several parts.
  std::vector<Translation> translate(std::span<const std::string> lines, const TranslateOptions& options = {},
                                     std::span<const std::string> prefixes = {}) const;

  const models::TranslationModel& model() const { return model_; }
  const text::TranslationTokenizer& tokenizer() const { return tokenizer_; }
  std::int64_t max_positions() const {
    return decoder_->max_positions();
  }  ///< of the model that takes fewest

 private:
  struct Part;
  void expect_tokenizer() const;
  std::vector<Part> cut(std::span<const std::string> lines, const TranslateOptions& options,
                        std::span<const std::string> prefixes) const;
  void expect_positions(std::size_t tokens) const;
  static BeamOptions search_options(const TranslateOptions& options);
  void decode(std::vector<Part>& parts, const TranslateOptions& options) const;
  Translation join(std::span<Part> parts, bool replace_unknown) const;
  std::string spell(const Part& part, const Hypothesis& hypothesis, bool replace_unknown) const;

  const models::TranslationModel& model_;
  const text::TranslationTokenizer& tokenizer_;
  std::unique_ptr<const StepModel> decoder_;
};

}  // namespace fovea::decoding
