#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/decoding/beam_search.h"
#include "fovea/decoding/constraints.h"
#include "fovea/decoding/crew.h"
#include "fovea/models/language_model.h"
#include "fovea/text/tokenizer.h"

namespace fovea::decoding {

/// What becomes of a prompt that the model's positions do not hold.
enum class Overflow {
  error,  ///< it is refused, and so is one that leaves no room for a token
  left,   ///< its beginning is left out, so that what may follow has room; half of the positions stay to it
  slide,  ///< as much of its end as there is room for is read, and the text goes on past the positions (see
          ///< LanguageDecoderOptions::slides)
};

/// Takes text of a prompt as soon as it is sure, whole characters: of its number and that of the hypothesis,
/// 0 unless they are drawn or alternatives. Returns whether to go on; if not, the text ends there.
using OnText = std::function<bool(std::size_t prompt, std::int64_t hypothesis, std::string_view text)>;

struct GenerateOptions {
  BeamOptions beam = {.beam = 1};  ///< its lengths are ignored, but for min_length
  BatchLimits batches = {.max_rows = 8, .max_tokens = 1 << 16};
  Constraints constraints = {};
  std::int64_t max_new_tokens = 128;   ///< an end token counts
  std::int64_t max_length = 0;         ///< those and the prompt's together, at most; 0: no such limit
  std::vector<std::string> stop = {};  ///< strings that end a text; what is given ends before them
  /// Ids that end a text; not given: those that the model's config.json names.
  std::optional<std::vector<std::int32_t>> ends = {};
  Overflow overflow = Overflow::error;
  OnText on_text = {};
  std::uint64_t first_prompt = 0;  ///< the number of the first prompt, for sampling
};

/// A text to be continued.
struct Prompt {
  std::string text;
  bool add_special = true;  ///< put around it what the tokenizer says (a bos token, as a rule)
};

enum class WhyEnded {
  end_token,
  stop_string,
  max_new_tokens,
  context,  ///< the model's positions, or max_length
  stopped,  ///< by a listener, or because nothing could follow
};
/// "end_token", "stop_string", "length", "context" or "stopped".
std::string_view name_of(WhyEnded why);

/// What follows a prompt, one of the n best.
struct Continuation {
  std::string text;  ///< up to what ended it
  std::vector<std::int32_t> tokens;
  std::vector<float> token_log_probabilities;  ///< of each and, if there was one, of the end token
  double score = 0.0;                          ///< as Hypothesis::score
  double log_probability = 0.0;
  WhyEnded why = WhyEnded::end_token;
  std::string stop = {};  ///< the string that ended it
};

struct Generated {
  std::vector<Continuation> continuations;  ///< best first; at least one
  std::size_t prompt_tokens = 0;            ///< that the model reads
  std::size_t left_out = 0;                 ///< tokens of the prompt's beginning that it does not
};

/// Texts in, what follows them out, in order, as many as came. What follows a text depends neither on the
/// others nor on threads. Thread-safe: callers share the crew.
class Generator {
 public:
  /// All must outlive it. Throws Error(model) if the tokenizer has more tokens than the model.
  Generator(const models::LanguageModel& model, const text::Tokenizer& tokenizer, Crew& crew);

  using Next = std::function<std::optional<Prompt>()>;
  using Deliver = std::function<void(Generated)>;

  /// Continues the prompts that `next` gives until it gives none; memory does not grow with their number, and
  /// batches stay full. Returns whether it went to the end, not if options.beam.cancelled became true. A
  /// prompt without a token begins with the model's bos token; throws Error(data) naming the prompt if there
  /// is none, or for one that is too long (Overflow::error). See search_jobs() of decoding/jobs.h for who
  /// calls what.
  bool generate(const Next& next, const Deliver& deliver, const GenerateOptions& options = {}) const;
  std::vector<Generated> generate(std::span<const std::string> prompts,
                                  const GenerateOptions& options = {}) const;

  const models::LanguageModel& model() const { return model_; }
  const text::Tokenizer& tokenizer() const { return tokenizer_; }

 private:
  class Run;

  const models::LanguageModel& model_;
  const text::Tokenizer& tokenizer_;
  Crew& crew_;
};

}  // namespace fovea::decoding
