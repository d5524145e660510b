#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "fovea/decoding/translator.h"
#include "fovea/models/generation_defaults.h"

namespace CLI {
class App;
}

namespace fovea::cli {

/// Of --early-stopping: false, true or never.
decoding::Stop stop_named(std::string_view name);

/// How to translate, as the command line says it. What is not given, the model's generation_config.json
/// decides.
struct DecodingFlags {
  std::int64_t beam = 0;  ///< 0: not given
  std::int64_t max_tokens = 128, batch = 64;
  std::optional<std::int64_t> max_source_tokens;
  std::optional<double> length_penalty, coverage_penalty;
  std::string length_penalty_kind, early_stopping;  ///< empty: not given
  bool replace_unknown = false;
  bool no_defaults = false;  ///< what is not given is not the model's own either
  std::string shortlist;     ///< a file; empty: none

  /// --beam, --length-penalty, --length-penalty-kind, --early-stopping, --coverage-penalty,
  /// --replace-unknown, --no-defaults, --max-tokens, --max-source-tokens, --batch and --shortlist, written to
  /// this object, which must outlive the parsing.
  /// Where documents are read from their beginning, without --max-tokens: `cuts` is false.
  void add_to(CLI::App& command, bool cuts = true);
  /// Whether one of them was given, for commands that may do without.
  bool any() const {
    return beam > 0 || length_penalty || coverage_penalty || !length_penalty_kind.empty() ||
           !early_stopping.empty() || replace_unknown || no_defaults || max_source_tokens ||
           max_tokens != 128 || batch != 64 || !shortlist.empty();
  }
  /// The shortlist, if one was given. Throws Error(model) if it does not fit.
  std::shared_ptr<const models::Shortlist> read_shortlist(const text::TranslationTokenizer& tokenizer) const;
};

/// The flags, and for those not given what the model's makers found best (models::read_generation_defaults).
/// `nbest` translations a line; 0: as many as they say. Throws Error(usage) if `nbest` is more than a --beam
/// that was given, Error(model) for a faulty file.
decoding::TranslateOptions translate_options(const models::GenerationDefaults& defaults,
                                             const DecodingFlags& flags, std::int64_t nbest = 1);
decoding::TranslateOptions translate_options(const std::string& folder, const DecodingFlags& flags,
                                             std::int64_t nbest = 1);

}  // namespace fovea::cli
