#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fovea/decoding/translator.h"

namespace CLI {
class App;
}

namespace fovea::cli {

/// What else than the best translation is wanted, and what may stand in it. What is not given, the model's
/// generation_config.json decides.
struct SearchFlags {
  std::optional<double> temperature, top_p, min_p, repetition_penalty, min_alternative;
  std::optional<std::int64_t> top_k, no_repeat_ngram, min_length, max_length, diverse_groups;
  std::optional<double> diversity;
  std::optional<std::uint64_t> seed;
  std::vector<std::string> suppress;
  bool alternatives = false;

  /// --temperature, --top-k, --top-p, --min-p, --seed, --repetition-penalty, --no-repeat-ngram, --suppress,
  /// --min-length, --max-length, --alternatives, --min-alternative, --diverse-groups, --diversity; written to
  /// this object, which must outlive the parsing.
  void add_to(CLI::App& command);

  bool samples() const { return temperature || top_k || top_p || min_p || seed; }
  /// Whether --nbest counts something else than what is left of a beam.
  bool numbered() const { return samples() || alternatives; }

  /// Sets what was given. `beam` and `nbest` are what the command line says of them, 0: nothing. Throws
  /// Error(usage) for what excludes each other.
  void apply(decoding::TranslateOptions& options, const text::TranslationTokenizer& tokenizer,
             std::int64_t beam, std::int64_t nbest) const;
};

}  // namespace fovea::cli
