#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/base/error.h"

/// Translating from a program of one's own: this header alone, and fovea.h for C.
namespace fovea {

/// In which type a model's weights are held while it runs.
enum class WeightType {
  stored,  ///< int8 if they are stored so, else f32
  f32,
  bf16,
  int8,
};

struct ModelOptions {
  WeightType weights = WeightType::stored;
  int threads = 0;  ///< in all; 0: as many as the machine has
  /// Among how many the threads are parted when there are batches of sentences for all; 0: a thread each.
  /// Fewer sentences get all threads together.
  int workers = 0;
  /// A file that `fovea shortlist` wrote for the model: translations hold no other words than those that it
  /// names for the words of their line, and come sooner. Empty: none.
  std::string shortlist = {};
};

/// How to translate. What is not given, the model's generation_config.json decides.
struct TranslationOptions {
  std::optional<std::int64_t> beam = {};      ///< hypotheses kept alive, 1 to 32; 1 is greedy
  std::int64_t nbest = 1;                     ///< hypotheses returned: the beam is at least as wide
  std::optional<double> length_penalty = {};  ///< exponent of the length that scores are divided by
  std::optional<std::int64_t> min_length = {}, max_length = {};  ///< tokens
  std::optional<double> repetition_penalty = {};                 ///< 1: none
  std::optional<std::int64_t> no_repeat_ngram = {};  ///< no so many tokens in a row occur twice; 0: off
  std::vector<std::string> suppressed = {};          ///< texts that no translation holds
  /// Unknown words become the words of the source that the model looked at.
  std::optional<bool> replace_unknown = {};

  /// One of these: `nbest` translations are drawn in place of searching for the best.
  std::optional<double> temperature = {}, top_p = {};
  std::optional<std::int64_t> top_k = {};
  std::uint64_t seed = 1;  ///< a line's draw depends on it and on the line's number alone

  bool tokens = false;            ///< hypotheses tell their tokens, and the score of each
  bool attention = false;         ///< and where the model looked as it wrote each
  std::int64_t max_tokens = 128;  ///< a longer line is cut into sentences or parts and joined again
  std::int64_t batch = 64;        ///< sentences that a worker translates at once, at most
};

/// One of the n best translations of a line.
struct Hypothesis {
  std::string text;
  double score = 0.0;  ///< log-probability in nats, divided by the length to the power of the length penalty
  /// Pieces as the tokenizer cuts them, U+2581 for a space, with the end of sentence `</s>` if it came to
  /// that; log-probability of each. Empty unless TranslationOptions::tokens or ::attention, or if the line
  /// was cut.
  std::vector<std::string> tokens = {};
  std::vector<float> token_scores = {};
  /// [tokens, TranslationResult::source_tokens] row by row; each sums to about one. Empty unless
  /// TranslationOptions::attention.
  std::vector<float> attention = {};

  /// For each token the number of the source token that the model looked at most.
  std::vector<std::size_t> alignment() const;
};

struct TranslationResult {
  std::vector<Hypothesis> hypotheses;  ///< best first, or in the order of their draws; at least one
  /// Pieces of the line, its `</s>` included: what Hypothesis::attention speaks of. Empty as that is.
  std::vector<std::string> source_tokens = {};
  std::size_t parts = 1;  ///< more than one: the line was cut
  bool complete = true;   ///< false: a translation was ended at the greatest length

  const std::string& text() const { return hypotheses.front().text; }
};

/// How probable a model finds a translation that is given.
struct PairScore {
  double log_probability = 0.0;     ///< nats, end of sentence included; -infinity if a side is too long
  std::vector<float> token_scores;  ///< of each token and of the end of sentence; none if too long
};

/// A model that translates lines of text. Lines in, lines out, in order, as many as came; an empty line gives
/// an empty one. What a line becomes depends neither on the lines beside it nor on threads and workers.
///
///     const fovea::Translator translator("models/tatoeba-en-de");
///     std::cout << translator.translate("Two men are riding bicycles.").text();
///
/// Thread-safe: several callers may translate at once, none waits for another; they share one copy of the
/// weights. What is thrown is a fovea::Error, or what a function of the caller's threw. Text is UTF-8;
/// malformed bytes read as U+FFFD, line ends inside a line as spaces.
class Translator {
 public:
  /// Opens a model directory. Throws Error(model) if it is none or a damaged one or the shortlist is not for
  /// it, Error(usage) for options out of range.
  explicit Translator(const std::string& directory, const ModelOptions& options = {});
  ~Translator();
  Translator(Translator&&) noexcept;
  Translator& operator=(Translator&&) noexcept;

  TranslationResult translate(std::string_view line, const TranslationOptions& options = {}) const;
  std::vector<TranslationResult> translate(std::span<const std::string> lines,
                                           const TranslationOptions& options = {}) const;

  /// The next line, or nothing after the last. It is asked for in the midst of work: it must not wait long.
  using Next = std::function<std::optional<std::string>()>;
  /// Takes translations in the order of their lines; returns whether to go on.
  using Deliver = std::function<bool(TranslationResult)>;
  /// Translates any number of lines in bounded memory. Both functions are called from threads of the
  /// translator's, each by one at a time, though perhaps both at once. What one of them throws stops the work
  /// and is thrown here.
  void translate(const Next& next, const Deliver& deliver, const TranslationOptions& options = {}) const;

  /// A piece of text as soon as it is sure; all pieces together are the translation. Returns whether to go
  /// on; if not, the translation ends there.
  using OnText = std::function<bool(std::string_view fresh)>;
  /// Translates a line and tells its text as it comes. `nbest` counts as 1.
  TranslationResult stream(std::string_view line, const OnText& on_text,
                           const TranslationOptions& options = {}) const;

  struct Pair {
    std::string source, target;
  };
  /// How probable the model finds these translations; scores in the order of the pairs.
  std::vector<PairScore> score(std::span<const Pair> pairs) const;

  std::string source_language() const;  ///< such as "en"; empty if the model does not say
  std::string target_language() const;
  int threads() const;
  int workers() const;

 private:
  class Implementation;
  std::unique_ptr<const Implementation> implementation_;
};

/// Such as "0.1.0".
const char* version();

}  // namespace fovea
