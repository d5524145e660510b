#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fovea/cli/sampling_flags.h"
#include "fovea/decoding/generator.h"

namespace fovea::cli {

/// How a language model continues a text, as the command line says it. What is not given, the model's
/// generation_config.json decides.
struct GenerateFlags {
  std::optional<std::int64_t> beam, nbest, max_new_tokens, min_new_tokens, no_repeat_ngram;
  std::optional<double> length_penalty, repetition_penalty;
  std::string early_stopping, contrastive, overflow = "error";
  std::vector<std::string> stop, suppress;
  SamplingFlags sampling;
  std::int64_t batch = 8;
  bool no_defaults = false;

  /// Written to this object, which must outlive the parsing.
  void add_to(CLI::App& command);
  /// Throws Error(usage) for what excludes each other, Error(model) for a faulty file in `folder`.
  decoding::GenerateOptions options(const std::string& folder, const text::Tokenizer& tokenizer) const;

 private:
  void choose_search(decoding::BeamOptions& search) const;
};

}  // namespace fovea::cli
