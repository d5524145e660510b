#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fovea/cli/sampling_flags.h"
#include "fovea/decoding/translator.h"

namespace CLI {
class App;
}

namespace fovea::cli {

/// What else than the best translation is wanted, and what may stand in it. What is not given, the model's
/// generation_config.json decides.
struct SearchFlags {
  SamplingFlags sampling;
  std::optional<double> repetition_penalty, min_alternative, diversity;
  std::optional<std::int64_t> no_repeat_ngram, min_length, max_length, diverse_groups;
  std::vector<std::string> suppress;
  bool alternatives = false;

  /// Those of SamplingFlags, --repetition-penalty, --no-repeat-ngram, --suppress, --min-length, --max-length,
  /// --diverse-groups, --diversity, and where several translations may be asked for, --alternatives and
  /// --min-alternative; written to this object, which must outlive the parsing. `text` is what comes out.
  void add_to(CLI::App& command, const std::string& text = "translation", bool several = true);

  bool samples() const { return sampling.any(); }
  /// Whether --nbest counts something else than what is left of a beam.
  bool numbered() const { return samples() || alternatives; }

  /// Sets what was given. `beam` and `nbest` are what the command line says of them, 0: nothing. Throws
  /// Error(usage) for what excludes each other.
  void apply(decoding::TranslateOptions& options, const text::TranslationTokenizer& tokenizer,
             std::int64_t beam, std::int64_t nbest) const;
};

}  // namespace fovea::cli
