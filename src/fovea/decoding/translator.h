#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "fovea/decoding/batch_plan.h"
#include "fovea/decoding/beam_search.h"
#include "fovea/decoding/translation_decoder.h"
#include "fovea/text/translation_tokenizer.h"

namespace fovea::decoding {

struct TranslateOptions {
  BeamOptions beam{};
  BatchPlanOptions batches{};
  /// A line of more tokens is cut into sentences or parts of them, translated one by one and joined. Models
  /// are trained on sentences: what is much longer than those comes out badly.
  std::int64_t max_tokens = 128;
};

/// A translation of a line, one of its n best.
struct Candidate {
  std::string text;    ///< one line: where the model spelt a line end or NUL byte there is a space
  double score = 0.0;  ///< as Hypothesis::score; of a cut line, the mean over its parts
  std::vector<std::int32_t> tokens;  ///< ids; empty for a cut line
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

  std::vector<Translation> translate(std::span<const std::string> lines,
                                     const TranslateOptions& options = {}) const;

  const models::TranslationModel& model() const { return model_; }
  const text::TranslationTokenizer& tokenizer() const { return tokenizer_; }

 private:
  struct Part;
  std::vector<Part> cut(std::span<const std::string> lines, std::size_t limit) const;
  void expect_positions(std::size_t tokens) const;
  void decode(std::vector<Part>& parts, const TranslateOptions& options) const;
  Translation join(std::span<Part> parts) const;

  const models::TranslationModel& model_;
  const text::TranslationTokenizer& tokenizer_;
  TranslationDecoder decoder_;
};

}  // namespace fovea::decoding
