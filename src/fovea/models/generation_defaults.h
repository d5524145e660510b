#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fovea::models {

struct TranslationVocabulary;

/// What a sum of log-probabilities is divided by; see decoding/length_penalty.h.
enum class LengthPenaltyKind {
  power,  ///< length^alpha, as Hugging Face's `length_penalty`; 1 = mean log-probability a token
  gnmt,   ///< (5 + length)^alpha / 6^alpha, Wu et al. 2016, equation (14)
};

/// When a search by beams ends: Hugging Face's false, "never" and true; see decoding::Stop.
enum class EarlyStopping { no, never, yes };

/// How a model is used where nobody says otherwise: what its directory carries in generation_config.json. The
/// names are Hugging Face's, where it has one; decoding/generation.h makes a search of it.
struct GenerationDefaults {
  std::int64_t beam = 5;   ///< num_beams
  std::int64_t nbest = 1;  ///< num_return_sequences
  double length_penalty = 1.0;
  LengthPenaltyKind length_penalty_kind = LengthPenaltyKind::power;
  EarlyStopping early_stopping = EarlyStopping::no;
  std::int64_t num_beam_groups = 1;
  double diversity_penalty = 0.5;

  /// In tokens of a translation: before its end of sentence; with it, 0: as many as the model has positions.
  /// Hugging Face counts the start token too: in the file both are 1 more.
  std::int64_t min_length = 0, max_length = 0;
  /// At most ratio * source + extra tokens, too (ours).
  double max_length_ratio = 2.0;
  std::int64_t max_length_extra = 32;

  bool do_sample = false;  ///< draw in place of searching; without it the next four count for nothing
  double temperature = 1.0;
  std::int64_t top_k = 0;  ///< 0: all
  double top_p = 1.0, min_p = 0.0;

  double repetition_penalty = 1.0;        ///< 1: none
  std::int64_t no_repeat_ngram_size = 0;  ///< 0: off
  std::vector<std::int32_t> suppress_tokens = {}, begin_suppress_tokens = {};
  std::vector<std::vector<std::int32_t>> bad_words_ids = {};  ///< sequences that are not generated
  std::int32_t forced_bos_token_id = -1;                      ///< the first token; -1: any

  double coverage_penalty = 0.0;       ///< beta of Wu et al. 2016 (ours)
  bool replace_unknown = false;        ///< by words of the source (ours)
  std::int64_t max_source_tokens = 0;  ///< so many are read of a source, and no more (ours); 0: all

  bool operator==(const GenerationDefaults&) const = default;
};

/// generation_config.json of a model with that vocabulary and so many positions. What Hugging Face has no
/// word for stands there as "fovea_...". docs/formats/generation.md has the keys one by one, and why
/// forced_eos_token_id is written though nothing is forced.
std::string generation_config_json(const TranslationVocabulary& vocabulary, std::int64_t max_positions,
                                   const GenerationDefaults& generation);

/// What `folder`/generation_config.json says; without one config.json, where Hugging Face looked before there
/// was another file; what neither says is as above. Throws Error(model) naming file and key: not JSON, a
/// value of a wrong type or out of range.
GenerationDefaults read_generation_defaults(const std::filesystem::path& folder);

/// What config.json says of one of the tasks that a text-to-text model was trained for.
struct TaskDefaults {
  std::string name;    ///< "summarization", "translation_en_to_de"
  std::string prefix;  ///< what its texts begin with: "summarize: "
  GenerationDefaults generation;
};

/// The task of that name, or the only one whose name ends so ("_to_de"), of config.json's
/// task_specific_params, on top of `general`; none if there is none. Throws Error(model) as
/// read_generation_defaults does.
std::optional<TaskDefaults> read_task(const std::filesystem::path& folder, std::string_view name,
                                      const GenerationDefaults& general);

/// The same for a language model, which continues a prompt.
struct ContinuationDefaults {
  /// As above, but a beam of 1 where the file says nothing; max_length and min_length are max_new_tokens and
  /// min_new_tokens, 0 where it says nothing.
  GenerationDefaults search = {.beam = 1};
  std::int64_t max_length = 0;  ///< tokens of the prompt and what follows together; 0: nothing said
  std::optional<std::vector<std::int32_t>> eos = {};  ///< eos_token_id, in place of those of config.json
  double typical_p = 1.0;
  /// Above 0, where nothing is drawn: contrastive search among top_k tokens (decoding/search_options.h).
  double penalty_alpha = 0.0;
  std::int64_t contrastive_k = 50;
  std::vector<std::string> stop_strings = {};
};

/// What `folder` says, as read_generation_defaults().
ContinuationDefaults read_continuation_defaults(const std::filesystem::path& folder);

/// The keys of that file that would change what is generated, were they known here:
/// "generation_config.json: typical_p", ...
std::vector<std::string> ignored_generation_keys(const std::filesystem::path& folder);
/// The same of a language model's.
std::vector<std::string> ignored_continuation_keys(const std::filesystem::path& folder);

}  // namespace fovea::models
